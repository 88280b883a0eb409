package report

import (
	"bytes"
	_ "embed" // the schemas
	"encoding/json"
	"fmt"
	"io"
)

//go:embed schema/simulation-v1.json
var simulationSchema string

//go:embed schema/comparison-v1.json
var comparisonSchema string

// Schema is the JSON Schema (2020-12) of what [Report.WriteJSON] writes.
func Schema() string { return simulationSchema }

// ComparisonSchema is the JSON Schema (2020-12) of what [Comparison.WriteJSON] writes.
func ComparisonSchema() string { return comparisonSchema }

// WriteJSON writes the report as JSON after [Schema]. Members are in a fixed order, so that equal reports are equal bytes.
func (r *Report) WriteJSON(w io.Writer) error { return writeJSON(w, r.document()) }

func writeJSON(w io.Writer, document any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(document); err != nil {
		return fmt.Errorf("report as JSON: %w", err)
	}
	_, err := w.Write(out.Bytes())
	return err
}
