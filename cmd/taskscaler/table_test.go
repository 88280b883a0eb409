package main

import (
	"bytes"
	"strings"
	"testing"
)

// A long name does not move the other lines, and no name or value adds a line or a column.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	page := newTable(&out)
	page.line("a", "first")
	page.line("  "+strings.Repeat("n", wideName), "a long name: %s", "x\ny")
	page.line("", "%s\t%s", "one", "a\tb")
	page.line("  i\n2", "größe %d", 3)
	page.gap()
	page.line("größe", "below")
	page.line("  "+strings.Repeat("n", 10_000)+"end", "cut")
	if err := page.end(); err != nil {
		t.Fatal(err)
	}
	want := "a      first\n  " + strings.Repeat("n", wideName) + "  a long name: x y\n" + "       one\ta b\n  i 2  größe 3\n\ngröße  below\n"
	got := out.String()
	last := got[min(len(want), len(got)):]
	if !strings.HasPrefix(got, want) || len(last) > longestName+20 || !strings.HasSuffix(last, "nend  cut\n") {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	failing := newTable(failing{})
	failing.line("a", "b")
	if failing.end() == nil {
		t.Error("a failed write is not reported")
	}
}
