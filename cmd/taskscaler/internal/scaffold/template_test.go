package scaffold

import (
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the template from examples/plugin")

const example = "../../../../examples/plugin"

// tracked returns the files of a folder that are part of the repository, or will be.
func tracked(t *testing.T, dir string) map[string]string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", ".")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files in %s: %v", dir, err)
	}
	files := map[string]string{}
	for _, name := range strings.Fields(string(out)) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) { // it was removed, and the removal is not committed
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

// TestTemplate: the template is examples/plugin with tokens for its names. `go generate` writes it.
func TestTemplate(t *testing.T) {
	name := regexp.MustCompile(`\b` + exampleName + `\b`)
	want := map[string]string{}
	for file, text := range tracked(t, example) {
		if strings.Contains(text, "__") && (strings.Contains(text, moduleToken) || strings.Contains(text, nameToken)) {
			t.Errorf("%s has a token of the template", file)
		}
		text = strings.ReplaceAll(text, exampleModule, moduleToken)
		want[file+suffix] = name.ReplaceAllString(text, nameToken)
	}
	if *update {
		if err := os.RemoveAll("template"); err != nil {
			t.Fatal(err)
		}
		for file, text := range want {
			path := filepath.Join("template", file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	got := map[string]string{}
	err := fs.WalkDir(template, "template", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := template.ReadFile(path)
		got[strings.TrimPrefix(path, "template/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("the template is not examples/plugin any more: run make generate, and commit what it writes (%d and %d files)", len(got), len(want))
	}
	if len(got) < 15 {
		t.Errorf("the template has %d files", len(got))
	}
}

// TestExample: what the scaffold writes for the names of examples/plugin is examples/plugin.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	files, err := (Plugin{Name: exampleName, Module: exampleModule}).fill(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := tracked(t, example)
	if slices.Sort(files); !slices.Equal(files, slices.Sorted(maps.Keys(want))) {
		t.Errorf("the files are %v", files)
	}
	for _, name := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, []byte(want[name])) {
			t.Errorf("%s differs from the one in examples/plugin: %v", name, err)
		}
	}
}
