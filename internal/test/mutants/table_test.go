package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPatchesAndPage: the patches that are kept can be read, there are as many as are promised, and the page lists them.
func TestPatchesAndPage(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	patches, err := readPatches(filepath.Join(root, patchDir))
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]int{}
	for _, p := range patches {
		rooms[p.suite]++
		if dependents[p.room()] == nil || (p.suite == suiteShell) != (p.room() == "pkg/taskscaler") {
			t.Errorf("%s: a fault in %s, found by %s", p.name, p.room(), p.suite)
		}
	}
	if rooms[suiteDST] < 25 || rooms[suiteShell] < 5 {
		t.Errorf("%v: at least 25 in the pure rooms and 5 in the shell are wanted", rooms)
	}
	page, err := os.ReadFile(filepath.Join(root, tablePath))
	if err != nil {
		t.Fatal(err)
	}
	if render(patches, storedFields(), recorded(string(page))) != string(page) {
		t.Errorf("%s is not up to date: go generate ./internal/test/mutants", tablePath)
	}
}

// TestPatchesApply to the tree as it is.
func TestPatchesApply(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	patches, err := readPatches(filepath.Join(root, patchDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range patches {
		if _, err := p.apply(t.Context(), root, t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

func TestRecordedIsWhatWasRendered(t *testing.T) {
	one, two := &patch{name: "001-a", breaks: "a | b", invariant: "7", files: []string{"internal/scaler/x.go"}, suite: suiteDST},
		&patch{name: "002-b", breaks: "b", invariant: "shutdown", files: []string{"pkg/taskscaler/x.go"}, suite: suiteShell}
	page := render([]*patch{one, two}, []field{"Saved.Meta.Group"}, map[string]string{"001-a": "invariant 7, within 9 schedules"})
	if !strings.Contains(page, `| a \| b | 7 | invariant 7, within 9 schedules |`) || !strings.Contains(page, "| shutdown | not run yet |") {
		t.Errorf("%s", page)
	}
	if got := recorded(page); got["001-a"] != "invariant 7, within 9 schedules" || got["002-b"] != "not run yet" || got["Saved.Meta.Group"] != "not run yet" || len(got) != 3 {
		t.Errorf("%v", got)
	}
}

func TestWhoFoundIt(t *testing.T) {
	for out, want := range map[string]string{
		"=== RUN   TestA\n--- PASS: TestA (0.0s)\n=== RUN   TestB\n--- FAIL: TestB (0.0s)\n": "TestB",
		"=== RUN   TestA\n--- PASS: TestA\n=== RUN   TestC\npanic: deadlock":                 "TestC",
		"nothing": "",
	} {
		if got := failedTest(out); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
	for out, want := range map[string][2]string{
		"\nseed 9: invariant 6 at step 3 (+1s): x\ndst: 12 schedules, 3 steps, 1 violations":    {"invariant 6", "12"},
		"\nseed 9: invariant books at step 3 (+1s): x\ndst: 1 schedules, 3 steps, 1 violations": {"oracle books", "1"},
		"panic: nil map\n":  {"a panic", "?"},
		"usage: something":  {"", ""},
		"seed 9: invariant": {"", ""},
	} {
		if by, after := violation(out); by != want[0] || after != want[1] {
			t.Errorf("%q: %q, %q", out, by, after)
		}
	}
}

// TestUnitsAndSuites: which test is which is read from what it calls, also through others.
func TestUnitsAndSuites(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	shell, err := testsOf(root, "pkg/taskscaler")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"TestDiffer", "TestWaitersTable", "TestInboxLosesNothing", "TestListedOf"} {
		if !slices.Contains(shell.unit, name) {
			t.Errorf("%s is no unit test", name)
		}
	}
	for _, name := range []string{"TestFireGroupCommit", "TestFireListThatFailsHalfway", "TestReplay"} {
		if !slices.Contains(shell.suite, name) || !shell.inBubble[name] {
			t.Errorf("%s is not of the shell's suites on virtual time", name)
		}
	}
	if slices.Contains(shell.suite, "TestCancelAgainstGrant") && shell.inBubble["TestCancelAgainstGrant"] {
		t.Error("TestCancelAgainstGrant runs on real time")
	}
	core, err := testsOf(root, "internal/scaler")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(core.suite, "TestWorlds") || !slices.Contains(core.unit, "TestShrinkAfterIdleTime") || slices.Contains(core.unit, "TestMain") {
		t.Errorf("unit %v, simulation %v", core.unit, core.suite)
	}
}
