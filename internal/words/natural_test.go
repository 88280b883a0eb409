package words

import (
	"slices"
	"testing"
)

func TestCompareNatural(t *testing.T) {
	want := []string{"", "01", "1", "2", "10", "a", "ci-1", "ci-2", "ci-2-1", "ci-2-12", "ci-10", "ci-010a", "ci-18446744073709551616", "cj"}
	for i := range want {
		for j := range want {
			got := CompareNatural(want[i], want[j])
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%q and %q compare as %d", want[i], want[j], got)
			}
		}
	}
	names := slices.Clone(want)
	slices.Reverse(names)
	if slices.SortFunc(names, CompareNatural); !slices.Equal(names, want) {
		t.Errorf("sorted: %q", names)
	}
}
