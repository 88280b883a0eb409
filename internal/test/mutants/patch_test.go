package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module is a small module with a pure room, its tests, and a command that is its simulation.
func module(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                    "module small\n\ngo 1.24\n",
		"pkg/policy/sum.go":         "package policy\n\n// Sum adds.\nfunc Sum(a, b int) int {\n\tif a == 0 {\n\t\treturn b\n\t}\n\treturn a + b\n}\n",
		"pkg/policy/s_test.go":      "package policy\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n\tif Sum(0, 2) != 2 {\n\t\tt.Error(\"no\")\n\t}\n}\n",
		"internal/scaler/x.go":      "package scaler\n",
		"internal/scaler/x_test.go": "package scaler\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) { t.Log(\"x\") }\n",
		"sim/main.go": `package main

import (
	"fmt"
	"os"

	"small/pkg/policy"
)

func main() {
	if policy.Sum(1, 2) != 3 {
		fmt.Println("seed 7: invariant 5 at step 1 (+0s): it does not add\ndst: 4 schedules, 9 steps, 1 violations")
		os.Exit(1)
	}
	fmt.Println("dst: 9 schedules, 9 steps, 0 violations")
}
`,
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// fault makes a patch that replaces the line that returns the sum.
func fault(t *testing.T, with string) *patch {
	t.Helper()
	return parsed(t, "breaks: sums\ninvariant: 5\nkilled-by: dst\n\n--- a/pkg/policy/sum.go\n+++ b/pkg/policy/sum.go\n@@ -6,4 +6,4 @@\n \t\treturn b\n \t}\n"+
		"-\treturn a + b\n+\t"+with+"\n }\n")
}

func parsed(t *testing.T, text string) *patch {
	t.Helper()
	p, err := parsePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	p.name = "001-sum"
	return p
}

func benchOf(root string) *bench { return &bench{root: root, seeds: 10, dst: "./sim"} }

func TestVerdicts(t *testing.T) {
	root := module(t)
	b := benchOf(root)
	before, err := os.ReadFile(filepath.Join(root, "pkg/policy/sum.go"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.check(t.Context(), suiteDST); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	for name, tc := range map[string]struct {
		p           *patch
		kill, proof verdict
	}{
		"a fault that is found":         {fault(t, "return a - b"), killed, passes},
		"one that nothing finds":        {fault(t, "return b + a"), survived, passes},
		"one that the unit tests find":  {parsed(t, strings.Replace(string(header)+sumHead, "X", "return 1", 1)), survived, broken},
		"one that does not build":       {fault(t, "return a + c"), notBuilt, notBuilt},
		"one that vet refuses":          {fault(t, "return func() int { b = b; return a + b }()"), survived, notBuilt},
		"one whose text has gone":       {parsed(t, header+"--- a/pkg/policy/sum.go\n+++ b/pkg/policy/sum.go\n@@ -1,2 +1,2 @@\n package policy\n-// Nothing.\n+// X.\n"), doesNotFit, doesNotFit},
		"one whose file has gone":       {parsed(t, header+"--- a/pkg/policy/none.go\n+++ b/pkg/policy/none.go\n@@ -1 +1 @@\n-a\n+b\n"), doesNotFit, doesNotFit},
		"one in what is no room of its": {parsed(t, header+"--- a/sim/main.go\n+++ b/sim/main.go\n@@ -1,2 +1,2 @@\n-package main\n+package main // x\n \n"), survived, doesNotFit},
	} {
		t.Run(name, func(t *testing.T) {
			if r := b.kill(t.Context(), tc.p); r.verdict != tc.kill {
				t.Errorf("kill: %s, want %s\n%s", r.verdict, tc.kill, r.output)
			} else if r.verdict == killed && (r.by != "invariant 5" || r.after != "4") {
				t.Errorf("killed by %q after %q", r.by, r.after)
			}
			if r := b.proof(t.Context(), tc.p); r.verdict != tc.proof {
				t.Errorf("proof: %s, want %s\n%s", r.verdict, tc.proof, r.output)
			}
		})
	}
	// What was built under an overlay is nowhere else: the tree is as it was, and so is what it builds.
	if after, err := os.ReadFile(filepath.Join(root, "pkg/policy/sum.go")); err != nil || string(after) != string(before) {
		t.Errorf("the tree was touched: %q, %v", after, err)
	}
	if err := b.check(t.Context(), suiteDST); err != nil {
		t.Errorf("a fault is left in what is built without one: %v", err)
	}
}

const (
	header  = "breaks: x\ninvariant: 1\nkilled-by: dst\n\n"
	sumHead = "--- a/pkg/policy/sum.go\n+++ b/pkg/policy/sum.go\n@@ -4,4 +4,4 @@\n func Sum(a, b int) int {\n \tif a == 0 {\n-\t\treturn b\n+\t\tX\n \t}\n"
)

func TestCheckRefusesASuiteThatFailsWithoutAFault(t *testing.T) {
	root := module(t)
	path := filepath.Join(root, "pkg/policy/sum.go")
	if err := os.WriteFile(path, []byte("package policy\n\nfunc Sum(a, b int) int { return 0 }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := benchOf(root).check(t.Context(), suiteDST); err == nil || !strings.Contains(err.Error(), "without any fault") {
		t.Errorf("err = %v", err)
	}
}

// TestPatchMoves: lines that were added above a fault's place do not matter, and refresh writes the patch as it then is.
func TestPatchMoves(t *testing.T) {
	root := module(t)
	file := filepath.Join(root, "pkg/policy/sum.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(string(text), "// Sum", "// A\n// few\n// more\n// lines.\n\n// Sum", 1)
	if err := os.WriteFile(file, []byte(moved), 0o644); err != nil {
		t.Fatal(err)
	}
	p := fault(t, "return a - b")
	if r := benchOf(root).kill(t.Context(), p); r.verdict != killed {
		t.Errorf("%s: %s", r.verdict, r.output)
	}
	p.path = filepath.Join(t.TempDir(), "001-sum.patch")
	if err := p.refresh(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	again, err := readPatch(p.path)
	if err != nil || again.breaks != p.breaks || !strings.Contains(string(again.diff), "@@ -11,4 +11,4 @@") {
		t.Errorf("%v: %s", err, again.diff)
	}
}

func TestPatchesAreRefused(t *testing.T) {
	const diff = "--- a/x.go\n+++ b/x.go\n"
	for text, want := range map[string]string{
		"":                         "no diff",
		"breaks: x --- a/x.go\n":   "no diff",
		diff:                       "not one of breaks:",
		"invariant: 1\n" + diff:    "must say breaks",
		"hint: 1\n" + diff:         `"hint: 1" is not one of`,
		"breaks: a\n b\n" + diff:   "must say breaks: and invariant:",
		header + "--- a/../x.go\n": "Go files of the tree",
		header + "--- a/x_test.go": "no tests",
		header + "--- a/README.md": "Go files",
		strings.Replace(header, "dst", "me", 1) + diff: `write dst or shell`,
	} {
		if p, err := parsePatch(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, p, err, want)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"001-a.patch", "001-b.patch", "Nice.patch", "002-bad.patch"} {
		text := header + diff
		if name == "002-bad.patch" {
			text = "x"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := readPatches(dir)
	for _, want := range []string{"its number is also used by 001-a", "Nice.patch: name a patch", "002-bad.patch: no diff"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add(header + sumHead)
	f.Add("breaks:\n x\n--- a/")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePatch(text)
		if err != nil {
			return
		}
		for _, file := range p.files {
			if !filepath.IsLocal(file) || !strings.HasSuffix(file, ".go") {
				t.Errorf("%q is taken for a file of the tree", file)
			}
		}
	})
}
