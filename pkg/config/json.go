package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// json turns the table into a JSON object with sorted keys. Dates and times become strings: RFC 3339 when they have an offset. A number
// that JSON cannot hold is a fault.
func (s section) json(n *node, name string) json.RawMessage {
	raw, err := json.Marshal(s.plain(n, name))
	if err != nil { // plain leaves only what can be marshalled
		s.fault(CodeJSON, n, name, "cannot be turned into JSON: "+err.Error(), "use only values that JSON has")
		return json.RawMessage("{}")
	}
	return raw
}

func (s section) plain(n *node, name string) any {
	switch n.kind {
	case kindTable:
		out := make(map[string]any, len(n.order))
		for _, key := range n.order {
			out[key] = s.plain(n.children[key], name+"."+bare(key))
		}
		return out
	case kindArray:
		out := make([]any, len(n.elems))
		for i, e := range n.elems {
			out[i] = s.plain(e, fmt.Sprintf("%s[%d]", name, i))
		}
		return out
	}
	switch v := n.value.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			s.fault(CodeJSON, n, name, "is nan or inf, which JSON cannot hold", "write a finite number or a string")
			return nil
		}
		return v
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case fmt.Stringer: // a local date or time
		return v.String()
	}
	return n.value
}

// nestingConfig reads a table, or a string that holds a JSON object.
func (r *reader) nestingConfig(s section) RawConfig {
	const name = "nesting_config"
	n := s.get(name)
	switch {
	case n == nil:
		return RawConfig{}
	case n.kind == kindTable:
		return newRawConfig(s.json(n, name))
	case n.kind != kindString:
		s.mistyped(n, name, "a table", "write it as "+header(s.key(name)))
		return RawConfig{}
	}
	text := n.value.(string)
	if strings.TrimSpace(text) == "" {
		return RawConfig{}
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil || object == nil {
		s.fault(CodeJSON, n, name, "is not a JSON object: "+jsonReason(err), "write it as the table "+header(s.key(name)))
		return RawConfig{}
	}
	s.warn(CodeNestingString, n, name, "is a string; its JSON is read as a table", "write it as the table "+header(s.key(name)))
	raw, err := json.Marshal(object)
	if err != nil {
		s.fault(CodeJSON, n, name, "cannot be turned into JSON: "+err.Error(), "write it as the table "+header(s.key(name)))
		return RawConfig{}
	}
	return newRawConfig(raw)
}

// jsonReason says why and at which byte the text is not a JSON object. It does not quote the text, which may hold secrets.
func jsonReason(err error) string {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v at offset %d", syntax, syntax.Offset)
	case errors.As(err, &mismatch):
		return fmt.Sprintf("it is %s, at offset %d", article(mismatch.Value), mismatch.Offset)
	}
	return "it is null, at offset 0"
}

func article(noun string) string {
	if strings.HasPrefix(noun, "a") {
		return "an " + noun
	}
	return "a " + noun
}
