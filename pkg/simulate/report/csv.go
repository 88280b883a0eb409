package report

import (
	"encoding/csv"
	"io"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// WriteCSV writes the figures as rows of "key,value" below that header: the scalars of the JSON form in its order, with their paths as
// keys (see [Figure]). The curves are not among them; the JSON form has them. A text is one printable line; the JSON form has it unchanged.
func (r *Report) WriteCSV(w io.Writer) error {
	d := r.document()
	d.Timeline = nil
	rows, err := flatten(d)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	_ = out.Write([]string{"key", "value"}) // errors stay with the writer
	for _, row := range rows {
		_ = out.Write([]string{string(safetext.Sprintf("%s", row.path)), string(safetext.Sprintf("%s", row.text()))})
	}
	out.Flush()
	return out.Error()
}
