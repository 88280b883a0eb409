package pluginkit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The labels that mark the machines of a group.
const (
	LabelManagedBy = "managed-by"
	LabelGroup     = "taskscaler-group"
)

// maxLabel is the most characters of a label in the clouds that we know.
const maxLabel = 63

// Labels are the labels, tags or metadata of a machine.
type Labels map[string]string

// GroupLabels returns the labels that mark the machines of a group. Set them when a machine is created, list by them, and delete no machine that lacks one:
// see Own. An error says what is wrong with the group's name, to be put after the key that sets it: it must be legal as a label in the clouds that we know.
func GroupLabels(group string) (Labels, error) {
	switch {
	case group == "":
		return nil, fmt.Errorf("is empty")
	case len(group) > maxLabel:
		return nil, fmt.Errorf("has %d characters, and may have %d", len(group), maxLabel)
	}
	for i, r := range group {
		alnum := r <= 0x7f && (isLetter(byte(r)) || isDigit(byte(r)))
		switch inside := i > 0 && i < len(group)-1; {
		case alnum:
		case r != '-' && r != '_':
			return nil, fmt.Errorf("may have a–z, 0–9, hyphens and underscores, not %q", r)
		case !inside:
			return nil, fmt.Errorf("must begin and end with a letter or a digit")
		}
	}
	return Labels{LabelManagedBy: "taskscaler", LabelGroup: group}, nil
}

// With returns l together with the operator's labels. One that would change a label of l is an error that names it.
func (l Labels) With(operators map[string]string) (Labels, error) {
	all := maps.Clone(l)
	for _, key := range slices.Sorted(maps.Keys(operators)) {
		if own, taken := l[key]; taken && own != operators[key] {
			return nil, fmt.Errorf("%q marks the machines of the group and cannot be set", key)
		}
		all[key] = operators[key]
	}
	return all, nil
}

// Own reports whether a machine has all labels of l. Ask it before a delete, even of a machine that was listed by its labels: a filter that is ignored lists
// the machines of others. An empty l owns nothing.
func (l Labels) Own(machine map[string]string) bool {
	for key, want := range l {
		if got, ok := machine[key]; !ok || got != want {
			return false
		}
	}
	return len(l) > 0
}

// Selector returns "key=value,key=value" in the order of the keys, as many APIs filter by labels.
func (l Labels) Selector() string {
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(l)) {
		terms = append(terms, key+"="+l[key])
	}
	return strings.Join(terms, ",")
}
