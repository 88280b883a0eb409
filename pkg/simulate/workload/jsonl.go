package workload

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// readJSONLines reads one object a line. It also reads a log whose objects take several lines or are in an array.
func readJSONLines(in *input, c *collector) error {
	t := &objects{t: tabular{c: c}}
	if head, _ := in.Peek(peek); !oneALine(head) {
		if err := elements(in, c, t.take); err != nil {
			return err
		}
		return t.end(in)
	}
	for line := 1; ; line++ {
		text, whole, err := readLine(in)
		if err != nil {
			return in.broken(line, 0, err)
		}
		text = bytes.TrimSpace(text)
		switch {
		case len(text) == 0:
		case json.Valid(text) && text[0] == '{':
			t.take(line, text)
		case !whole && !json.Valid(text):
			return in.fail(line, 0, nil, "the file ends in the middle of a line: it was truncated", "copy it again")
		default:
			c.drop(line, "it is not a JSON object")
		}
		if !whole {
			return t.end(in)
		}
	}
}

// oneALine reports whether the first line is a whole object.
func oneALine(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	line, _, ended := bytes.Cut(head, []byte{'\n'})
	if len(line) == 0 || line[0] != '{' {
		return false
	}
	return json.Valid(line) || !ended
}

// objects turns objects into jobs. It looks for the columns among the members of all objects so far, because an object may lack some of
// them.
type objects struct {
	t      tabular
	err    error // why no columns were found
	seen   map[string]bool
	values [fieldCount]string
}

func (o *objects) take(at int, raw []byte) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		o.t.c.drop(at, "it is not a JSON object")
		return
	}
	o.learn(members)
	if o.t.m == nil {
		o.t.c.drop(at, "its members do not contain its arrival and its run time")
		return
	}
	for f, name := range o.t.m.column {
		o.values[f] = ""
		if name != "" {
			o.values[f] = jsonText(members[name])
		}
	}
	o.t.job(at, &o.values)
}

// maxMembers limits the number of names that are remembered.
const maxMembers = 1000

// learn looks for the columns again when a new member appears.
func (o *objects) learn(members map[string]json.RawMessage) {
	before := len(o.seen)
	for name := range members {
		if !o.seen[name] && len(o.seen) < maxMembers {
			if o.seen == nil {
				o.seen = map[string]bool{}
			}
			o.seen[name] = true
		}
	}
	if len(o.seen) == before {
		return
	}
	m, err := mapColumns(slices.Sorted(maps.Keys(o.seen)), o.t.c.in.o)
	if err != nil {
		o.err = err
		return
	}
	o.t.m = m
	o.t.c.columns = m.String()
	o.t.c.hint = "check the members (" + m.String() + "), or name others (--columns)"
}

// end reports which members are missing when no object had them.
func (o *objects) end(in *input) error {
	if o.t.m != nil || o.err == nil {
		return nil
	}
	return in.fail(0, 0, nil, strings.Replace(o.err.Error(), "no column says", "no member says", 1),
		"name the members, such as arrival=…,duration=… (--columns); the objects have: "+strings.Join(slices.Sorted(maps.Keys(o.seen)), ", "))
}
