package model

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// place is where a key is in the file, counted from 1.
type place struct{ line, column int }

// positions finds where each key of a document is, by its dotted path. Elements of arrays are path[0], path[1], …
func positions(data []byte) (map[string]place, error) {
	f := finder{data: data, places: map[string]place{}, tables: map[string]int{}}
	f.parser.Reset(data)
	current := ""
	for f.parser.NextExpression() {
		switch e := f.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current = f.header(e)
		case unstable.KeyValue:
			f.keyValue(current, e)
		}
	}
	if err := f.parser.Error(); err != nil {
		return nil, fmt.Errorf("toml: %w", err)
	}
	return f.places, nil
}

type finder struct {
	parser unstable.Parser
	data   []byte
	places map[string]place
	tables map[string]int // arrays of tables: number of elements so far
}

func (f *finder) note(path string, at unstable.Range) {
	if _, known := f.places[path]; known {
		return
	}
	before := f.data[:min(int(at.Offset), len(f.data))]
	f.places[path] = place{line: bytes.Count(before, []byte("\n")) + 1, column: len(before) - bytes.LastIndexByte(before, '\n')}
}

// header is the path of [a.b] or [[a.b]]. A part that is an array of tables means its last element.
func (f *finder) header(e *unstable.Node) string {
	path := ""
	for it := e.Key(); it.Next(); {
		path = join(path, string(it.Node().Data))
		f.note(path, it.Node().Raw)
		if it.IsLast() && e.Kind == unstable.ArrayTable {
			f.tables[path]++
		}
		if n := f.tables[path]; n > 0 {
			path += "[" + strconv.Itoa(n-1) + "]"
			f.note(path, it.Node().Raw)
		}
	}
	return path
}

func (f *finder) keyValue(table string, e *unstable.Node) {
	path := table
	var at unstable.Range
	for it := e.Key(); it.Next(); {
		path, at = join(path, string(it.Node().Data)), it.Node().Raw
		f.note(path, at)
	}
	f.value(path, e.Value(), at)
}

func (f *finder) value(path string, v *unstable.Node, at unstable.Range) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			f.keyValue(path, it.Node())
		}
	case unstable.Array:
		n := 0
		for it := v.Children(); it.Next(); n++ {
			own := at
			if raw := it.Node().Raw; raw.Length > 0 {
				own = raw
			}
			element := path + "[" + strconv.Itoa(n) + "]"
			f.note(element, own)
			f.value(element, it.Node(), own)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return bare(key)
	}
	return path + "." + bare(key)
}

var bareKey = regexp.MustCompile(`^[\w-]+$`)

// bare quotes a key that TOML requires to be quoted. Unquoted, it could confuse a reader or a terminal.
func bare(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return strconv.Quote(key)
}
