package config

import "strings"

// LineOf returns the line of a key below [runners.autoscaler], such as connector_config.key_path. If the file does not set the key, it is the line of the
// section that the key belongs to, or else Line.
func (a *Autoscaler) LineOf(key string) int {
	for key != "" {
		if line, ok := a.lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndexByte(key, '.'), 0)]
	}
	return a.Line
}

// linesOf returns the line of each key of the schema below the table n of [runners.autoscaler].
func linesOf(n *node) map[string]int {
	lines := map[string]int{}
	var add func(n *node, section string)
	add = func(n *node, section string) {
		for _, name := range n.order {
			child, path := n.children[name], section+name
			lines[path] = child.line
			if child.kind == kindTable && schema["runners.autoscaler."+path] != nil {
				add(child, path+".")
			}
		}
	}
	add(n, "")
	return lines
}
