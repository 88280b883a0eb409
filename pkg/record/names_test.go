package record

import (
	"fmt"
	"strings"
	"testing"
)

// TestNames: every value has a unique name of the form that facts and status use. Values after the last one are named as invalid.
func TestNames(t *testing.T) {
	names := func(what string, from, to int, of func(int) string, beyond string) {
		t.Helper()
		seen := map[string]int{}
		for n := from; n <= to; n++ {
			name := of(n)
			if name == "" || name == "invalid" || name == "unknown" || strings.ToLower(name) != name || strings.ContainsAny(name, " -") {
				t.Errorf("%s %d is called %q", what, n, name)
			}
			if other, dup := seen[name]; dup {
				t.Errorf("%s %d and %d are both %q", what, other, n, name)
			}
			seen[name] = n
		}
		if got := of(to + 1); got != beyond {
			t.Errorf("%s %d is called %q, want %q", what, to+1, got, beyond)
		}
	}
	names("state", int(Creating), int(Unclaimed), func(n int) string { return State(n).String() }, "invalid")
	names("origin", int(Created), int(Preexisting), func(n int) string { return Origin(n).String() }, "invalid")
	names("cause", int(CauseNone), int(numCauses)-1, func(n int) string { return Cause(n).String() }, "unknown")
	if got := fmt.Sprint(State(0), Origin(0)); got != "invalid invalid" {
		t.Errorf("the zero values are %q", got)
	}
}

func TestStatesThatExist(t *testing.T) {
	for s, want := range map[State]bool{
		0: false, Creating: true, Preparing: true, Ready: true, Draining: true, Deleting: true, Gone: false, Lost: false, Unclaimed: true,
		Unclaimed + 1: false,
	} {
		if s.Exists() != want {
			t.Errorf("%s exists: %v", s, !want)
		}
	}
}
