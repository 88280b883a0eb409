package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestToolReport(t *testing.T) {
	all, err := parseToolReport([]byte(`{"files":[{"file_name":"b.go","mutations":[{"type":"ARITHMETIC_BASE","status":"RUNNABLE","line":2,"column":9}]},
		{"file_name":"a.go","mutations":[{"type":"INCREMENT_DECREMENT","status":"NOT COVERED","line":1,"column":1},
		{"type":"CONDITIONALS_NEGATION","status":"RUNNABLE","line":3,"column":4},{"type":"CONDITIONALS_BOUNDARY","status":"RUNNABLE","line":3,"column":4}]}]}`))
	if err != nil || len(all) != 3 {
		t.Fatalf("%v, %v", all, err)
	}
	if got := all[0].String() + " " + all[2].String(); got != "a.go:3:4 CONDITIONALS_BOUNDARY b.go:2:9 ARITHMETIC_BASE" {
		t.Errorf("order: %s", got)
	}
	if _, err := parseToolReport([]byte("{")); err == nil {
		t.Error("a torn report was read")
	}
}

func TestMutate(t *testing.T) {
	src := "package p\n\nfunc f(a, b int) bool {\n\ta++\n\treturn a <= b && a-b > 0\n}\n"
	for _, tc := range []struct {
		m    toolMutant
		want string // of the whole source, a line; "": an error
	}{
		{toolMutant{"p.go", "INCREMENT_DECREMENT", 4, 3}, "\ta--"},
		{toolMutant{"p.go", "CONDITIONALS_BOUNDARY", 5, 11}, "\treturn a < b && a-b > 0"},
		{toolMutant{"p.go", "CONDITIONALS_NEGATION", 5, 11}, "\treturn a > b && a-b > 0"},
		{toolMutant{"p.go", "ARITHMETIC_BASE", 5, 20}, "\treturn a <= b && a+b > 0"},
		{toolMutant{"p.go", "ARITHMETIC_BASE", 5, 11}, ""},
		{toolMutant{"p.go", "UNHEARD_OF", 5, 11}, ""},
		{toolMutant{"p.go", "ARITHMETIC_BASE", 50, 1}, ""},
	} {
		got, err := tc.m.mutate([]byte(src))
		if (err != nil) != (tc.want == "") || tc.want != "" && !strings.Contains(string(got), tc.want+"\n") {
			t.Errorf("%s: %s, %v; want %q", &tc.m, got, err, tc.want)
		}
	}
	m := toolMutant{"p.go", "CONDITIONALS_BOUNDARY", 5, 11}
	if got := m.key([]byte(src)); got != "p.go CONDITIONALS_BOUNDARY 10: return a <= b && a-b > 0" {
		t.Errorf("key %q", got)
	}
}

func TestSurvivors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "survivors.txt")
	read := func(text string) (map[string]string, error) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return readSurvivors(path)
	}
	all, err := read("# what survives\n\na.go X 1: if a < b {\n\tequivalent:\n\ta is never b\nb.go Y 2: c++\n\tonly counted\n")
	if err != nil || len(all) != 2 || all["a.go X 1: if a < b {"] != "equivalent: a is never b" {
		t.Errorf("%v, %v", all, err)
	}
	for _, bad := range []string{"a.go X 1: x\nb.go Y 1: y\n\twhy\n", "a.go X 1: x\n", "\twhy\n"} {
		if all, err := read(bad); err == nil {
			t.Errorf("%q was read as %v", bad, all)
		}
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readSurvivors(filepath.Join(root, survivorsPath)); err != nil {
		t.Error(err)
	}
}

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{nil, {"maim"}, {"list", "-only", "("}, {"list", "-x"}} {
		if err := run(t.Context(), args, t.Output()); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
