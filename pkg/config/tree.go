package config

import (
	"bytes"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// kind is the TOML type of a node.
type kind int

const (
	kindTable kind = iota
	kindArray
	kindString
	kindInteger
	kindFloat
	kindBool
	kindTime
)

// noun names the kind in a message.
func (k kind) noun() string {
	return [...]string{"a table", "an array", "a string", "an integer", "a float", "a boolean", "a date or time"}[k]
}

// node is one value of the document, with its position. The positions come from the parser's syntax tree. The values of scalars come from
// the decoder (see attach), so that this package interprets no TOML syntax.
type node struct {
	kind      kind
	line, col int
	value     any // of a scalar: string, int64, float64, bool, time.Time or a toml.Local…
	order     []string
	children  map[string]*node
	elems     []*node
}

func newTable(line, col int) *node {
	return &node{kind: kindTable, line: line, col: col, children: map[string]*node{}}
}

// child returns the value under key, or nil. n may be nil.
func (n *node) child(key string) *node {
	if n == nil {
		return nil
	}
	return n.children[key]
}

func (n *node) set(key string, value *node) {
	if _, ok := n.children[key]; !ok {
		n.order = append(n.order, key)
	}
	n.children[key] = value
}

// table returns the table under key and makes it when it is absent. For an array of tables it returns the last one.
func (n *node) table(key string, line, col int) *node {
	next := n.children[key]
	if next == nil {
		next = newTable(line, col)
		n.set(key, next)
	}
	if next.kind == kindArray && len(next.elems) > 0 {
		next = next.elems[len(next.elems)-1]
	}
	if next.kind != kindTable { // cannot happen: the decoder refuses such a document
		return newTable(line, col)
	}
	return next
}

// builder turns the parser's expressions into nodes.
type builder struct {
	parser unstable.Parser
	lines  []int // offset of the start of each line
	end    int
}

// newBuilder returns a builder that knows where the lines of the document begin.
func newBuilder(data []byte) *builder {
	b := &builder{lines: []int{0}, end: len(data)}
	for i := 0; ; {
		j := bytes.IndexByte(data[i:], '\n')
		if j < 0 {
			break
		}
		i += j + 1
		b.lines = append(b.lines, i)
	}
	b.parser.Reset(data)
	return b
}

// buildTree returns the document as nodes. The decoder must have accepted the document.
func buildTree(data []byte) (*node, error) {
	b := newBuilder(data)
	root := newTable(1, 1)
	current := root
	for b.parser.NextExpression() {
		switch e := b.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current = b.header(root, e)
		case unstable.KeyValue:
			b.keyValue(current, e)
		}
	}
	return root, b.parser.Error()
}

func (b *builder) at(r unstable.Range) (line, col int) {
	offset := min(int(r.Offset), b.end)
	i, found := slices.BinarySearch(b.lines, offset)
	if !found {
		i--
	}
	return i + 1, offset - b.lines[i] + 1
}

// header returns the table that [a.b] or [[a.b]] opens. The table's position is that of its header.
func (b *builder) header(root *node, e *unstable.Node) *node {
	n := root
	for it := e.Key(); it.Next(); {
		key := string(it.Node().Data)
		line, col := b.at(it.Node().Raw)
		if !it.IsLast() {
			n = n.table(key, line, col)
			continue
		}
		if e.Kind == unstable.Table {
			implicit := n.child(key) != nil
			n = n.table(key, line, col)
			if implicit && n.kind == kindTable { // [a.b.c] came before [a.b]: use the position of the explicit header
				n.line, n.col = line, col
			}
			continue
		}
		array := n.child(key)
		if array == nil {
			array = &node{kind: kindArray, line: line, col: col}
			n.set(key, array)
		}
		n = newTable(line, col)
		array.elems = append(array.elems, n)
	}
	return n
}

func (b *builder) keyValue(table *node, e *unstable.Node) {
	n := table
	for it := e.Key(); it.Next(); {
		key := string(it.Node().Data)
		line, col := b.at(it.Node().Raw)
		if !it.IsLast() {
			n = n.table(key, line, col)
			continue
		}
		n.set(key, b.value(e.Value(), line, col))
	}
}

// value builds the node of a value. line and col are the position of its key. Elements of an array have their own positions.
func (b *builder) value(v *unstable.Node, line, col int) *node {
	switch v.Kind {
	case unstable.InlineTable:
		n := newTable(line, col)
		for it := v.Children(); it.Next(); {
			b.keyValue(n, it.Node())
		}
		return n
	case unstable.Array:
		n := &node{kind: kindArray, line: line, col: col}
		for it := v.Children(); it.Next(); {
			eline, ecol := line, col
			if r := it.Node().Raw; r.Length > 0 {
				eline, ecol = b.at(r)
			}
			n.elems = append(n.elems, b.value(it.Node(), eline, ecol))
		}
		return n
	}
	return &node{kind: scalarKind(v.Kind), line: line, col: col}
}

func scalarKind(k unstable.Kind) kind {
	switch k {
	case unstable.String:
		return kindString
	case unstable.Integer:
		return kindInteger
	case unstable.Float:
		return kindFloat
	case unstable.Bool:
		return kindBool
	}
	return kindTime
}

// attach sets the decoded values of the scalars below n.
func (n *node) attach(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if c := n.child(key); c != nil {
				c.attach(item)
			}
		}
	case []any:
		for i, item := range v {
			if i < len(n.elems) {
				n.elems[i].attach(item)
			}
		}
	default:
		n.value = v
	}
}
