package simulate

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTable holds the table against a map.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		oracle := map[uint64]*machine{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			n := rapid.Uint64Range(1, 20).Draw(t, "number")
			if rapid.Bool().Draw(t, "put") {
				m := &machine{number: n}
				tab.put(n, m)
				oracle[n] = m
			} else {
				tab.drop(n)
				delete(oracle, n)
			}
			last, count := uint64(0), 0
			tab.each(func(m *machine) {
				if m.number <= last || oracle[m.number] != m {
					t.Fatalf("machine %d stands behind %d, or is not the one that was put", m.number, last)
				}
				last = m.number
				count++
			})
			for k := range uint64(25) {
				if tab.get(k) != oracle[k] {
					t.Fatalf("get(%d) = %v, want %v", k, tab.get(k), oracle[k])
				}
			}
			if count != len(oracle) || tab.count != len(oracle) {
				t.Fatalf("%d machines, count %d, want %d", count, tab.count, len(oracle))
			}
		}
	})
}
