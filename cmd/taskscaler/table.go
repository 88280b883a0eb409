package main

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// table writes a text view line by line. A line has a name, which may be empty, and a text. The texts of the lines up to the next gap begin in the
// same column.
type table struct {
	to   *bufio.Writer
	rows []row
}

func newTable(w io.Writer) *table { return &table{to: bufio.NewWriter(w)} }

type row struct{ name, text string }

// The limits of a name, in characters. A name that is longer than wideName does not move the texts of other lines; one that is longer than
// longestName keeps its beginning and its end.
const (
	wideName    = 48
	longestName = 160
)

// line adds one line, whatever the values contain.
func (t *table) line(name, format string, args ...any) {
	text := safetext.Sprintf(format, args...)
	t.rows = append(t.rows, row{shortened(name), string(text)})
}

// shortened returns a name that fits into the table. It may begin with the two spaces of an instance.
func shortened(name string) string {
	own, indented := strings.CutPrefix(name, "  ")
	line := safetext.Line(own, longestName)
	if indented {
		return "  " + line
	}
	return line
}

// gap adds an empty line.
func (t *table) gap() {
	t.align()
	_ = t.to.WriteByte('\n') // here and below: end returns the error
}

// end writes what is left and returns the first error.
func (t *table) end() error {
	t.align()
	return t.to.Flush()
}

// align writes the lines since the last gap.
func (t *table) align() {
	width := 0
	for _, r := range t.rows {
		if n := utf8.RuneCountInString(r.name); n <= wideName {
			width = max(width, n)
		}
	}
	for _, r := range t.rows {
		blank := max(width-utf8.RuneCountInString(r.name), 0) + 2
		_, _ = t.to.WriteString(r.name + strings.Repeat(" ", blank) + r.text + "\n")
	}
	t.rows = t.rows[:0]
}
