package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const subject = `package subject

type Pair struct {
	A, B int
}

// Clamp returns n, or the limit that it passes.
func Clamp(n, low, high int) int {
	if n < low {
		return low
	}
	if n > high && high >= low {
		n = high
	}
	return n
}

func Pairs(all []int) (out []Pair) {
	for i, v := range all {
		if v == 0 {
			continue
		}
		out = append(out, Pair{A: i, B: v})
	}
	return out
}

func Unused(n int) int {
	n++
	return n
}
`

// The tests know the limits, and not what happens at them, and not Pair.A.
const subjectTest = `package subject

import "testing"

func TestClamp(t *testing.T) {
	for _, c := range [][4]int{{1, 2, 3, 2}, {4, 2, 3, 3}, {2, 1, 3, 2}, {4, 5, 3, 5}} {
		if got := Clamp(c[0], c[1], c[2]); got != c[3] {
			t.Error(c, got)
		}
	}
}

func TestPairs(t *testing.T) {
	if got := Pairs([]int{0, 7}); len(got) != 1 || got[0].B != 7 {
		t.Error(got)
	}
}
`

// TestSweep: what survives in a small package is what its tests do not look at.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/subject\n\ngo 1.26\n", "subject.go": subject, "subject_test.go": subjectTest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	t.Chdir(dir)
	before, err := os.ReadFile("subject.go")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-j", "1", "."}, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		fate, rest, _ := strings.Cut(line, " ")
		_, what, _ := strings.Cut(rest, "subject.go:")
		got = append(got, fate+" "+what)
	}
	want := []string{
		"SURVIVED 9:5 boundary of <: if n < low {",
		"SURVIVED 12:5 boundary of >: if n > high && high >= low {",
		"SURVIVED 12:17 operand high >= low is always true: if n > high && high >= low {",
		"SURVIVED 12:17 boundary of >=: if n > high && high >= low {",
		"SURVIVED 23:26 field A stays zero: out = append(out, Pair{A: i, B: v})",
		"UNREACHED 29:2 assignment left out: n++",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, "5 survived, 1 reached by no test") {
		t.Errorf("the tally is %q", last)
	}
	if after, err := os.ReadFile("subject.go"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the source was changed (%v)", err)
	}
}

// TestWovenSourceBuilds: the faults of real packages build, and none is on by default: their tests pass.
func TestWovenSourceBuilds(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", "..")) // the module's root
	b := &bench{options: &options{}, dir: t.TempDir()}
	if err := b.load(t.Context(), []string{"./internal/fleet", "./pkg/policy"}); err != nil {
		t.Fatal(err)
	}
	if len(b.mutants) < 1000 {
		t.Errorf("only %d faults", len(b.mutants))
	}
	for _, pkg := range []string{"./internal/fleet", "./pkg/policy"} {
		if out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay="+b.overlay, pkg).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", pkg, err, tail(out))
		}
	}
}
