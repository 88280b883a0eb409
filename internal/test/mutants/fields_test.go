package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestStoredFields: every field of the stored forms is named once, and fields below slices too.
func TestStoredFields(t *testing.T) {
	all := storedFields()
	seen := map[field]bool{}
	for _, f := range all {
		if seen[f] || !fieldName.MatchString(string(f)) {
			t.Errorf("%s is named twice, or is not a path", f)
		}
		seen[f] = true
	}
	for _, f := range []field{"Saved.Meta.Group", "Saved.Instances.Leases.Key", "Saved.Intents.Open", "Snapshot.Config.Schedule", "Snapshot.Evaluated",
		"Snapshot.Machines.Boot.At", "Snapshot.Register.Instances.ReadyAt.Mono", "Snapshot.Decision", "Snapshot.Batch.Facts"} {
		if !seen[f] {
			t.Errorf("%s is not among the %d stored fields", f, len(all))
		}
	}
}

// TestForgetter: the source that forgets a field sets this field to zero in every element, and nothing else.
func TestForgetter(t *testing.T) {
	dir := t.TempDir()
	form := `package main

import "fmt"

type form struct {
	A, B int
	C    []struct{ D, E string }
	F    struct{ G []int }
}

func main() {
	v := form{A: 1, B: 2, C: []struct{ D, E string }{{"d", "e"}, {"d", "e"}}}
	v.F.G = []int{3}
	forget(&v)
	fmt.Printf("%v", v)
}
`
	source := strings.Replace(forgetter, "%s", "main", 1)
	source = strings.Replace(source, "%q", `"FORGET"`, 1)
	for name, text := range map[string]string{"main.go": form, "forget.go": source, "go.mod": "module form\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "form", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, want := range map[string]string{
		"":          "{1 2 [{d e} {d e}] {[3]}}",
		"form.A":    "{0 2 [{d e} {d e}] {[3]}}",
		"form.C.E":  "{1 2 [{d } {d }] {[3]}}",
		"form.F.G":  "{1 2 [{d e} {d e}] {[]}}",
		"other.A":   "{1 2 [{d e} {d e}] {[3]}}",
		"form.C":    "{1 2 [] {[3]}}",
		"form.F":    "{1 2 [{d e} {d e}] {[]}}",
		"form.C.D":  "{1 2 [{ e} { e}] {[3]}}",
		"form.B":    "{1 0 [{d e} {d e}] {[3]}}",
		"form.else": "panic",
	} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "form"))
		cmd.Env = append(os.Environ(), "FORGET="+path)
		out, err := cmd.Output()
		if got := string(out); want == "panic" && err == nil || want != "panic" && got != want {
			t.Errorf("without %q: %s, %v; want %s", path, got, err, want)
		}
	}
}

// TestSeams: the functions that load the stored forms are where the mutants expect them, and each kept field exists.
func TestSeams(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seams {
		src, err := os.ReadFile(filepath.Join(root, s.file))
		if err != nil || strings.Count(string(src), s.function) != 1 {
			t.Errorf("%s: %v; the seam of %s is not there: %s", s.file, err, s.form, s.function)
		}
	}
	why, err := readSurvivors(filepath.Join(root, keptPath))
	if err != nil {
		t.Fatal(err)
	}
	for name := range why {
		if !slices.Contains(storedFields(), field(name)) {
			t.Errorf("%s names %s, which is not stored", keptPath, name)
		}
	}
}
