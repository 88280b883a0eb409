package workload

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// lastByte remembers the last byte that was read.
type lastByte struct {
	io.Reader
	last byte
}

func (l *lastByte) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.last = p[n-1]
	}
	return n, err
}

func readCSV(in *input, c *collector) error {
	tail := &lastByte{Reader: in}
	head, _ := in.Peek(peek)
	r := csv.NewReader(tail)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = delimiter(head), -1, true
	first, err := r.Read()
	if errors.Is(err, io.EOF) {
		return in.fail(0, 0, nil, "the workload is empty", "give a log with at least one job")
	}
	if err != nil {
		return csvError(in, err)
	}
	names := append([]string(nil), first...)
	headless := noHeader(names)
	if headless {
		for i := range names {
			names[i] = strconv.Itoa(i + 1)
		}
	}
	t := &tabular{c: c}
	if t.m, err = mapColumns(names, in.o); err != nil {
		return in.fail(1, 0, nil, err.Error(), csvRemedy(names, headless))
	}
	c.columns, c.hint = t.m.String(), "check the column map ("+t.m.String()+"); "+csvRemedy(names, headless)
	table := csvTable{in: in, t: t, columns: len(names)}
	if headless {
		table.take(r, first)
	}
	return table.rest(r, tail)
}

// csvTable is the rows of a file.
type csvTable struct {
	in      *input
	t       *tabular
	columns int
	short   bool            // the last row has too few columns
	syntax  *csv.ParseError // syntax error in the last row
	values  [fieldCount]string
}

// take turns a row into a job.
func (ct *csvTable) take(r *csv.Reader, record []string) {
	line, _ := r.FieldPos(0)
	if ct.short = len(record) < ct.columns; len(record) != ct.columns {
		ct.t.c.drop(line, "its number of columns differs from the first line")
		return
	}
	for f, i := range ct.t.m.index {
		if ct.values[f] = ""; i >= 0 {
			ct.values[f] = strings.TrimSpace(record[i])
		}
	}
	ct.t.job(line, &ct.values)
}

// rest reads to the end. A row with wrong quotes is dropped. A quote that is never closed would drop everything after it, so it is an
// error.
func (ct *csvTable) rest(r *csv.Reader, tail *lastByte) error {
	for {
		record, err := r.Read()
		switch {
		case errors.Is(err, io.EOF) && ct.syntax != nil:
			return csvError(ct.in, ct.syntax)
		case errors.Is(err, io.EOF) && ct.short && tail.last != '\n':
			return ct.in.fail(0, r.InputOffset(), nil, "the file ends in the middle of a line: it was truncated", "copy it again")
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			ct.syntax = nil
			ct.take(r, record)
		case errors.As(err, &ct.syntax):
			ct.t.c.drop(ct.syntax.StartLine, "its quotes are wrong")
		default:
			return csvError(ct.in, err)
		}
	}
}

func csvError(in *input, err error) error {
	var syntax *csv.ParseError
	if !errors.As(err, &syntax) {
		return in.broken(0, 0, err)
	}
	return in.fail(syntax.StartLine, 0, syntax.Err, "the line is not CSV", "close its quotes; or the file was truncated: copy it again")
}

func csvRemedy(names []string, headless bool) string {
	if headless {
		return "the file has no line of names: give the columns by number, such as arrival=1,duration=2 (--columns)"
	}
	return "name the columns, such as arrival=…,duration=… (--columns); the file has: " + strings.Join(names, ", ")
}

// delimiter is the most likely separator of columns in the first line.
func delimiter(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	best, most := ',', 0
	for _, d := range []rune{',', ';', '\t'} {
		quoted, n := false, 0
		for _, b := range line {
			switch {
			case b == '"':
				quoted = !quoted
			case !quoted && rune(b) == d:
				n++
			}
		}
		if n > most {
			best, most = d, n
		}
	}
	return best
}

// noHeader reports whether the first line holds values instead of names: a number or a date is not a column's name.
func noHeader(names []string) bool {
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" && n[0] >= '0' && n[0] <= '9' {
			if _, _, ok := parseTime(n, 0, time.UTC); ok {
				return true
			}
		}
	}
	return false
}
