package failure

import "testing"

func TestFailureKinds(t *testing.T) {
	for k := None; k <= Unhealthy; k++ {
		if got := Parse(k.String()); got != k {
			t.Errorf("%s was parsed as %s", k, got)
		}
		if f := (Failure{Kind: k}); f.Failed() != (k != None) {
			t.Errorf("%s failed: %v", k, f.Failed())
		}
	}
	for _, s := range []string{"", "Capacity", "stock_out", "quota "} {
		if got := Parse(s); got != Transient {
			t.Errorf("%q was parsed as %s, want transient: an unknown name must assume nothing", s, got)
		}
	}
}

func FuzzParseFailureKind(f *testing.F) {
	f.Add("quota")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if k := Parse(s); k > Unhealthy || k != Transient && k.String() != s {
			t.Errorf("%q was parsed as %s", s, k)
		}
	})
}
