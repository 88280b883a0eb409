package fleet

import (
	"fmt"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

func TestListedNames(t *testing.T) {
	seen := map[string]bool{}
	for l := ListedAbsent; l <= ListedDeleted; l++ {
		if name := l.String(); name == "" || name == "invalid" || seen[name] {
			t.Errorf("listed %d is called %q", l, name)
		}
		seen[l.String()] = true
	}
	if got := (ListedDeleted + 1).String(); got != "invalid" {
		t.Errorf("beyond the last: %q", got)
	}
}

func TestEachStops(t *testing.T) {
	r := NewRegister(1, 0)
	for _, id := range []record.ID{"c", "a", "b"} {
		enter(t, r, id, record.Creating, at(0))
	}
	var got []record.ID
	r.Each(func(i *Instance) bool {
		got = append(got, i.ID)
		return len(got) < 2
	})
	if fmt.Sprint(got) != "[a b]" {
		t.Errorf("visited %v, want a, b", got)
	}
}
