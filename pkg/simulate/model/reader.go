package model

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// reader fills layers with the values of a document and collects faults.
type reader struct {
	path   string
	places map[string]place
	faults config.Faults
}

func (r *reader) fault(code, key, message, remedy string) {
	at := r.place(key)
	r.faults = append(r.faults, config.Problem{Severity: config.Fault, Code: code, Path: r.path, Line: at.line, Column: at.column, Key: key,
		Message: message, Remedy: remedy})
}

// place is where key is in the file, or where the table is that should have it.
func (r *reader) place(key string) place {
	for {
		if at, ok := r.places[key]; ok {
			return at
		}
		end := strings.LastIndexAny(key, ".[")
		if end < 0 {
			return place{}
		}
		key = key[:end]
	}
}

func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b config.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
	})
	return r.faults
}

// text reads the last part of path as a string of table.
func (r *reader) text(table map[string]any, path string) string {
	v, set := table[path[strings.LastIndexByte(path, '.')+1:]]
	text, ok := v.(string)
	if set && !ok {
		r.mistyped(path, v, "a string", "")
	}
	return text
}

func (r *reader) mistyped(key string, value any, want, remedy string) {
	r.fault(config.CodeType, key, "is "+noun(value)+", must be "+want, remedy)
}

func noun(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a table"
	case []any:
		return "an array"
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	}
	return "a date or a time"
}

// fill applies the keys of a table to l.
func (r *reader) fill(l *layer, values map[string]any, prefix string) {
	r.table(reflect.ValueOf(l).Elem(), values, strings.TrimSuffix(prefix, "."), []string{"preset"})
}

// table applies values to the struct v. Keys in also are read elsewhere.
func (r *reader) table(v reflect.Value, values map[string]any, path string, also []string) {
	fields := map[string]reflect.Value{}
	known := append(collect(v, fields), also...)
	if path == "" {
		known = append(known, "shape", "shapes")
	}
	for name, value := range values {
		key := join(path, name)
		switch field, ok := fields[name]; {
		case ok:
			r.value(field, value, key)
		case name == "list" && len(also) > 0:
			r.fault(config.CodeUnknownKey, key, "works only in the fake plugin; a simulation gets every change directly", "remove it")
		case !slices.Contains(also, name):
			r.fault(config.CodeUnknownKey, key, fmt.Sprintf("unknown key %q", name), nearest.Remedy(name, known, manual))
		}
	}
}

// collect finds the fields of v by their keys, including those of embedded structs, and returns the keys in order.
func collect(v reflect.Value, into map[string]reflect.Value) (names []string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			names = append(names, collect(v.Field(i), into)...)
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("toml"), ","); name != "" && name != "list" {
			into[name] = v.Field(i)
			names = append(names, name)
		}
	}
	return names
}

var (
	durationType     = reflect.TypeFor[cloudmodel.Duration]()
	distributionType = reflect.TypeFor[cloudmodel.Distribution]()
)

// value applies one value to v.
func (r *reader) value(v reflect.Value, value any, key string) {
	if v.Type() == durationType {
		r.duration(v, value, key)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		table, ok := value.(map[string]any)
		if !ok {
			r.mistyped(key, value, "a table", "write it as ["+key+"]")
			return
		}
		if v.Type() == distributionType {
			v.SetZero()
			defer r.complete(table, key)
		}
		r.table(v, table, key, nil)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			r.mistyped(key, value, "an array", "")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, item := range list {
			r.value(v.Index(i), item, key+"["+strconv.Itoa(i)+"]")
		}
	default:
		r.scalar(v, value, key)
	}
}

func (r *reader) scalar(v reflect.Value, value any, key string) {
	switch v.Kind() {
	case reflect.String:
		if text, ok := value.(string); ok {
			v.SetString(text)
			return
		}
		r.mistyped(key, value, "a string", "")
	case reflect.Bool:
		if b, ok := value.(bool); ok {
			v.SetBool(b)
			return
		}
		r.mistyped(key, value, "true or false", "")
	case reflect.Int:
		n, ok := value.(int64)
		switch {
		case !ok:
			r.mistyped(key, value, "an integer", "")
		case n > math.MaxInt32:
			r.fault(config.CodeRange, key, fmt.Sprintf("is %d, at most %d is possible", n, math.MaxInt32), "")
		default:
			v.SetInt(n)
		}
	default:
		switch n := value.(type) {
		case int64:
			v.SetFloat(float64(n))
		case float64:
			v.SetFloat(n)
		default:
			r.mistyped(key, value, "a number", "")
		}
	}
}

func (r *reader) duration(v reflect.Value, value any, key string) {
	switch d := value.(type) {
	case string:
		_ = v.Addr().Interface().(*cloudmodel.Duration).UnmarshalText([]byte(d)) // UnmarshalText never fails; check reports invalid durations
	case int64:
		remedy := "a duration has a unit"
		if d >= 0 && d < int64(time.Millisecond) {
			remedy = fmt.Sprintf("write %s = \"%ds\"", key[strings.LastIndexByte(key, '.')+1:], d)
		}
		r.mistyped(key, value, "a duration as a string", remedy)
	default:
		r.mistyped(key, value, "a duration as a string", `a duration is written like "90s", "20m" or "1h30m"`)
	}
}

// needs are the keys that each distribution requires.
var needs = map[string][]string{
	cloudmodel.KindConstant: {"value"}, cloudmodel.KindExponential: {"mean"}, cloudmodel.KindLogNormal: {"p50", "p95"},
}

// complete reports the keys that a distribution's table lacks.
func (r *reader) complete(table map[string]any, key string) {
	kind, _ := table["distribution"].(string)
	for _, name := range needs[kind] {
		if _, set := table[name]; !set {
			r.fault(config.CodeMissing, key+"."+name, fmt.Sprintf("is missing: distribution %q needs it", kind), "")
		}
	}
	if len(table) == 0 {
		r.fault(config.CodeMissing, key+".distribution", "is missing", "name one of constant, exponential, lognormal, empirical, or remove the section")
	}
}

// check reports faults that involve several values. It ignores the faults in told, which belong to the layer below, and returns all faults
// that it found.
func (r *reader) check(l *layer, prefix string, told map[string]bool) map[string]bool {
	found := map[string]bool{}
	have := map[string]bool{}
	for _, f := range r.faults {
		have[f.Key] = true
	}
	under := func(section string) cloudmodel.Fault {
		return func(key, format string, args ...any) {
			key = section + key
			found[key] = true
			if told[key] && r.places[prefix+key] == (place{}) || have[prefix+key] {
				return
			}
			r.fault(config.CodeRange, prefix+key, fmt.Sprintf(format, args...), "")
		}
	}
	l.Config.Check(under(""))
	l.Ready.Check(under("ready."))
	if mode := l.Discovery.Mode; mode != "" && mode != "poll" && mode != "instant" {
		under("discovery.")("mode", "%q is unknown: use poll or instant", mode)
	}
	return found
}
