package config

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Bounds of a document. Real files have a few hundred keys, nested seven deep. The decoder needs time and memory that grow with the square of the
// number of keys in a table and of the length of a dotted key, so a document beyond these bounds is not decoded: the
// largest that is needs about a second.
const (
	maxKeys  = 10_000 // keys, tables and elements of arrays together
	maxDepth = 32     // of tables and arrays in each other
)

// boundsFault returns a fault if the document is too large or nested too deep, else nil. It also returns nil for a document that is not valid: the
// decoder says what is wrong with it.
func boundsFault(path string, b *builder) *Problem {
	count := bounds{}
	for b.parser.NextExpression() {
		e := b.parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			count.under = count.key(e.Key(), 0)
		case unstable.KeyValue:
			count.value(e, count.under)
		}
		if count.keys <= maxKeys && count.depth <= maxDepth {
			continue
		}
		p := &Problem{Severity: Fault, Code: CodeBounds, Path: path}
		if it := e.Key(); it.Next() {
			p.Line, p.Column = b.at(it.Node().Raw)
		}
		p.Message, p.Remedy = fmt.Sprintf("the file has more than %d keys, tables and elements of lists", maxKeys), "split it into several files, one for each runner process"
		if count.depth > maxDepth {
			p.Message, p.Remedy = fmt.Sprintf("tables and lists are nested more than %d deep", maxDepth), "correct the key or the brackets of this line"
		}
		return p
	}
	return nil
}

// bounds counts what a document has.
type bounds struct {
	keys, depth int
	under       int // the depth of the table whose keys follow
}

// key counts the parts of a dotted key below depth, and returns the depth of what the key names.
func (c *bounds) key(it unstable.Iterator, depth int) int {
	for it.Next() {
		depth++
		c.keys++
	}
	c.depth = max(c.depth, depth)
	return depth
}

// value counts a value, or a key and its value.
func (c *bounds) value(n *unstable.Node, depth int) {
	if c.keys > maxKeys || depth > maxDepth { // enough is known
		c.depth = max(c.depth, depth)
		return
	}
	switch n.Kind {
	case unstable.KeyValue:
		c.value(n.Value(), c.key(n.Key(), depth))
	case unstable.InlineTable, unstable.Array:
		c.depth = max(c.depth, depth)
		for it := n.Children(); it.Next(); {
			c.keys++
			c.value(it.Node(), depth+1)
		}
	}
}
