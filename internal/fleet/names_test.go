package fleet

import (
	"fmt"
	"strings"
	"testing"
)

// TestNames: every value has a name of its own, in the form that facts and status use, and values beyond the last say so.
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
	names("listed", int(ListedAbsent), int(ListedDeleted), func(n int) string { return Listed(n).String() }, "invalid")
	names("cause", int(CauseNone), int(numCauses)-1, func(n int) string { return Cause(n).String() }, "unknown")
	names("failure", int(FailureNone), int(FailureUnhealthy), func(n int) string { return FailureKind(n).String() }, "transient")
	if got := fmt.Sprint(State(0), Origin(0)); got != "invalid invalid" {
		t.Errorf("the zero values are %q", got)
	}
}

func TestFailureKinds(t *testing.T) {
	for k := FailureNone; k <= FailureUnhealthy; k++ {
		if got := ParseFailureKind(k.String()); got != k {
			t.Errorf("%s is read as %s", k, got)
		}
		if f := (Failure{Kind: k}); f.Failed() != (k != FailureNone) {
			t.Errorf("%s failed: %v", k, f.Failed())
		}
	}
	for _, s := range []string{"", "Capacity", "stock_out", "quota "} {
		if got := ParseFailureKind(s); got != FailureTransient {
			t.Errorf("%q is read as %s: an unknown name must assume nothing", s, got)
		}
	}
}

func FuzzParseFailureKind(f *testing.F) {
	f.Add("quota")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if k := ParseFailureKind(s); k > FailureUnhealthy || k != FailureTransient && k.String() != s {
			t.Errorf("%q is read as %s", s, k)
		}
	})
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

func TestEachStops(t *testing.T) {
	r := NewRegister(1, 0)
	for _, id := range []ID{"c", "a", "b"} {
		enter(t, r, id, Creating, at(0))
	}
	var got []ID
	r.Each(func(i *Instance) bool {
		got = append(got, i.ID)
		return len(got) < 2
	})
	if fmt.Sprint(got) != "[a b]" {
		t.Errorf("visited %v, want a, b", got)
	}
}
