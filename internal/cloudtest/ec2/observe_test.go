package ec2

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// recorder returns what checks each answer of a test's server against AWS's own models. Without them it checks nothing, and TestShapes is skipped.
func recorder(t *testing.T) func(answered) {
	t.Helper()
	all := loaded()
	if all == nil {
		return nil
	}
	return func(a answered) {
		if a.status != 200 {
			return
		}
		m := all[a.service]
		op, known := m.Operations[a.action]
		if !known {
			t.Errorf("%s has no action %s", a.service, a.action)
			return
		}
		c := &checker{model: m}
		c.answer(a, op)
		for _, f := range c.faults {
			t.Errorf("the answer of %s: %s\n%s", a.action, f, a.body)
		}
	}
}

// checker checks one answer.
type checker struct {
	model  *apiModel
	faults []string
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// element is an XML element.
type element struct {
	name string
	text string
	kids []*element
}

func parseXML(text []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	stack := []*element{{}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return stack[0].kids[0], nil
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local}
			top.kids = append(top.kids, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
}

// answer checks the whole answer.
func (c *checker) answer(a answered, op operation) {
	if a.service == serviceConnect {
		c.json(a, op)
		return
	}
	root, err := parseXML(a.body)
	if err != nil {
		c.fault("%v", err)
		return
	}
	if root.name != a.action+"Response" {
		c.fault("the root is %s", root.name)
	}
	envelope := "ResponseMetadata"
	if a.service == serviceEC2 {
		envelope = "requestId"
	}
	var content []*element
	for _, k := range root.kids {
		if k.name != envelope {
			content = append(content, k)
		}
	}
	if len(content) == len(root.kids) {
		c.fault("%s is missing", envelope)
	}
	if op.Output != nil && op.Output.ResultWrapper != "" {
		if len(content) != 1 || content[0].name != op.Output.ResultWrapper {
			c.fault("there is no %s", op.Output.ResultWrapper)
			return
		}
		content = content[0].kids
	}
	if op.Output == nil {
		// EC2 answers such actions with <return>true</return>, which the models leave out.
		if len(content) > 0 && (a.service != serviceEC2 || content[0].name != "return") {
			c.fault("it has %s, but the action answers nothing", content[0].name)
		}
		return
	}
	c.shape(&element{kids: content}, op.Output.Shape, a.action)
}

func (c *checker) shape(e *element, name, path string) {
	s := c.model.Shapes[name]
	switch s.Type {
	case "structure":
		c.structure(e, s, path)
	case "list":
		want := s.Member.wire("member")
		for i, k := range e.kids {
			if k.name != want {
				c.fault("%s: an entry is named %s, not %s", path, k.name, want)
			}
			c.shape(k, s.Member.Shape, fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		if len(e.kids) > 0 {
			c.fault("%s is a %s, but has elements", path, s.Type)
		}
		c.scalar(e.text, name, s, path)
	}
}

func (c *checker) structure(e *element, s *shape, path string) {
	seen := map[string]bool{}
	for _, k := range e.kids {
		member := ""
		for name, ref := range s.Members {
			if ref.wire(name) == k.name {
				member = name
			}
		}
		if member == "" {
			c.fault("%s has no member %s", path, k.name)
			continue
		}
		if seen[member] {
			c.fault("%s has %s twice", path, k.name)
		}
		seen[member] = true
		c.shape(k, s.Members[member].Shape, path+"."+member)
	}
	for _, name := range s.Required {
		if !seen[name] {
			c.fault("%s lacks %s", path, name)
		}
	}
}

// openEnums are enumerations that grow by the month.
func openEnum(name string) bool { return name == "InstanceType" }

func (c *checker) scalar(text, name string, s *shape, path string) {
	var err error
	switch s.Type {
	case "integer", "long":
		_, err = strconv.ParseInt(text, 10, 64)
	case "double", "float":
		_, err = strconv.ParseFloat(text, 64)
	case "boolean":
		if text != "true" && text != "false" {
			c.fault("%s is %q, not true or false", path, text)
		}
	case "timestamp":
		_, err = time.Parse(time.RFC3339, text)
	case "blob":
		_, err = base64.StdEncoding.DecodeString(text)
	case "string":
		legal := s.Enum
		if name == "PlatformValues" {
			legal = []string{"windows"} // what EC2 truly answers; its model says Windows
		}
		if len(legal) > 0 && !openEnum(name) && !slices.Contains(legal, text) {
			c.fault("%s is %q, which is none of %v", path, text, legal)
		}
	default:
		c.fault("%s is of the type %s, which this test does not know", path, s.Type)
	}
	if err != nil {
		c.fault("%s: %v", path, err)
	}
}

// json checks an answer of EC2 Instance Connect: an object of scalars.
func (c *checker) json(a answered, op operation) {
	var got map[string]any
	if err := json.Unmarshal(a.body, &got); err != nil {
		c.fault("%v", err)
		return
	}
	out := c.model.Shapes[op.Output.Shape]
	for name, value := range got {
		ref, known := out.Members[name]
		if !known {
			c.fault("there is no member %s", name)
			continue
		}
		c.scalar(strings.Trim(fmt.Sprint(value), `"`), ref.Shape, c.model.Shapes[ref.Shape], name)
	}
}
