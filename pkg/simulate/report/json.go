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

// Schema is the JSON Schema (2020-12) of the output of [Report.WriteJSON].
func Schema() string { return simulationSchema }

// ComparisonSchema is the JSON Schema (2020-12) of the output of [Comparison.WriteJSON].
func ComparisonSchema() string { return comparisonSchema }

// WriteJSON writes the report as JSON that conforms to [Schema]. The order of members is fixed, so equal reports are equal bytes.
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
