package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Figure is one number of a report, with its path in the JSON form, such as "wait_seconds.p95". A member of a list is named by its "name",
// or by its position if it has none: "wait_by_tag.linux.mean".
type Figure struct {
	Path  string
	Value float64
}

// aliases are short names of common figures.
func aliases() map[string]string {
	return map[string]string{
		"mean_wait": "wait_seconds.mean", "p50_wait": "wait_seconds.p50", "p90_wait": "wait_seconds.p90", "p95_wait": "wait_seconds.p95",
		"p99_wait": "wait_seconds.p99", "max_wait": "wait_seconds.max", "cost": "cost.total",
	}
}

// Figures returns all numbers of a result, in the order of the JSON form.
func Figures(res *simulate.Result) ([]Figure, error) {
	rows, err := flatten(newFigures(res))
	if err != nil {
		return nil, err
	}
	var all []Figure
	for _, row := range rows {
		if v, ok := row.number(); ok {
			all = append(all, Figure{Path: row.path, Value: v})
		}
	}
	return all, nil
}

// ValueOf returns the figure with this path, or with one of the aliases mean_wait, p50_wait, p90_wait, p95_wait, p99_wait, max_wait and
// cost. A cause for which no job waited is 0, and so is the number of jobs in a bin above the longest wait.
//
// Errors: *UnknownFigureError.
func ValueOf(res *simulate.Result, path string) (float64, error) {
	if full, ok := aliases()[path]; ok {
		path = full
	}
	all, err := Figures(res)
	if err != nil {
		return 0, err
	}
	var paths []string
	for _, f := range all {
		if f.Path == path {
			return f.Value, nil
		}
		paths = append(paths, f.Path)
	}
	if cause, ok := strings.CutPrefix(path, "wait_by_cause."); ok && knownCause(cause) {
		return 0, nil
	}
	if bin, ok := strings.CutPrefix(path, "wait_histogram."); ok && longerBin(bin) {
		return 0, nil
	}
	for short := range aliases() {
		paths = append(paths, short)
	}
	slices.Sort(paths)
	near, _ := nearest.Closest(path, paths)
	return 0, &UnknownFigureError{Path: path, Nearest: near}
}

// UnknownFigureError says that no report has this path.
type UnknownFigureError struct {
	Path    string
	Nearest string // the closest figure; "" if Path is empty or longer than 64 bytes
}

// Error names the figure that was probably meant.
func (e *UnknownFigureError) Error() string {
	guess := ""
	if e.Nearest != "" {
		guess = fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return fmt.Sprintf("there is no figure %q%s Paths are those of the JSON report; mean_wait, p95_wait, p99_wait and cost are short names of "+
		"common figures", e.Path, cmp.Or(guess, "."))
}

// row is one scalar of a document.
type row struct {
	path string
	raw  any // json.Number, string, bool or nil
}

func (r row) number() (float64, bool) {
	n, ok := r.raw.(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64()
	return v, err == nil
}

func (r row) text() string {
	switch v := r.raw.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(r.raw)
}

// flatten lists the scalars of a document in order.
func flatten(document any) ([]row, error) {
	raw, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var rows []row
	if err := walk(dec, "", &rows); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return rows, nil
}

// walk reads one value.
func walk(dec *json.Decoder, path string, rows *[]row) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			if err := walk(dec, join(path, fmt.Sprint(name)), rows); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	case json.Delim('['):
		for n := 0; dec.More(); n++ {
			if err := walkElement(dec, path, n, rows); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	*rows = append(*rows, row{path: path, raw: token})
	return nil
}

// walkElement reads the nth element of a list. Its name is its first member if that is "name".
func walkElement(dec *json.Decoder, path string, n int, rows *[]row) error {
	var part []row
	if err := walk(dec, "", &part); err != nil {
		return err
	}
	at := join(path, strconv.Itoa(n))
	if len(part) > 1 && part[0].path == "name" {
		at = join(path, part[0].text())
		part = part[1:]
	}
	for _, p := range part {
		*rows = append(*rows, row{path: join(at, p.path), raw: p.raw})
	}
	return nil
}

func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	}
	return path + "." + name
}

// longerBin reports whether the rest of a path is the number of jobs in a bin that longer waits fill: "12.jobs".
func longerBin(rest string) bool {
	number, ok := strings.CutSuffix(rest, ".jobs")
	n, err := strconv.Atoi(number)
	return ok && err == nil && number == strconv.Itoa(n) && n >= 0 && n < 64
}

func knownCause(name string) bool {
	for c := record.CauseNone; c.String() != "unknown"; c++ {
		if c.String() == name {
			return true
		}
	}
	return false
}
