package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// prose are the JSON fields of answers that hold sentences, or parts of them. They are the only ones that are not compared.
var prose = []string{"sentence", "outcome", "wanted", "waiting", "name", "notes", "problems", "zone"}

// same compares two JSON values: everything that the old one says, sentences aside, the new one says too.
func same(t *testing.T, what string, old, mine []byte) {
	t.Helper()
	differences := differ(nil, what, decode(t, old), decode(t, mine))
	for i, d := range differences {
		if i == 10 {
			t.Errorf("… and %d more differences", len(differences)-i)
			break
		}
		t.Error(d)
	}
}

func decode(t *testing.T, raw []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // nanoseconds do not fit into a float64
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// differ appends a line for each difference. A field that only mine has is none: the formats allow new fields. An absent field and an empty
// one are not the same.
func differ(list []string, path string, old, mine any) []string {
	switch old := old.(type) {
	case map[string]any:
		object, ok := mine.(map[string]any)
		if !ok {
			return append(list, fmt.Sprintf("%s: was an object, is %v", path, mine))
		}
		for _, name := range slices.Sorted(maps.Keys(old)) {
			if _, text := old[name].(string); slices.Contains(prose, name) && (text || name == "notes" || name == "problems") {
				continue
			}
			value, ok := object[name]
			if !ok {
				list = append(list, fmt.Sprintf("%s: field %q is missing; it was %v", path, name, old[name]))
				continue
			}
			list = differ(list, path+"."+name, old[name], value)
		}
		return list
	case []any:
		array, ok := mine.([]any)
		if !ok || len(array) != len(old) {
			return append(list, fmt.Sprintf("%s: was %d values, is %v", path, len(old), mine))
		}
		for i := range old {
			list = differ(list, fmt.Sprintf("%s[%d]", path, i), old[i], array[i])
		}
		return list
	}
	if old != mine {
		return append(list, fmt.Sprintf("%s: was %v, is %v", path, old, mine))
	}
	return list
}

// TestDiffer shows that the comparison sees what it must.
func TestDiffer(t *testing.T) {
	old := `{"count": 3, "sentence": "three of them", "chain": [{"time": 1, "cause": "idle"}], "waiting": 2}`
	for mine, want := range map[string]int{
		`{"count": 3, "sentence": "3", "chain": [{"time": 1, "cause": "idle"}], "waiting": 2, "new": true}`: 0,
		`{"count": 4, "sentence": "3", "chain": [{"time": 1, "cause": "idle"}], "waiting": 2}`:              1,
		`{"count": 3, "sentence": "3", "chain": [{"time": 2, "cause": "lost"}], "waiting": 2}`:              2,
		`{"count": 3, "sentence": "3", "chain": [], "waiting": 2}`:                                          1,
		`{"count": 3, "chain": [{"time": 1}]}`:                                                              2, // cause and the count named waiting
		`[]`:                                                                                                1,
	} {
		if got := differ(nil, "answer", decode(t, []byte(old)), decode(t, []byte(mine))); len(got) != want {
			t.Errorf("%s: %d differences instead of %d: %q", mine, len(got), want, got)
		}
	}
}
