package scaffold

import (
	"errors"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"mycloud", "a", "my-cloud2", "x1"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "My", "1a", "a_b", "a b", "a/b", "../x", "-a", "a-", "é", "fleeting-plugin-foo", strings.Repeat("x", 60), "a\n"} {
		var wrong *NameError
		if err := CheckName(name); !errors.As(err, &wrong) {
			t.Errorf("%q can be used: %v", name, err)
		}
	}
}

func TestCheckModule(t *testing.T) {
	for _, module := range []string{"example.com/x", "github.com/you/fleeting-plugin-foo", "gitlab.example.co.uk/A/b_c/d.e/v2"} {
		if err := CheckModule(module); err != nil {
			t.Errorf("%q: %v", module, err)
		}
	}
	for _, module := range []string{
		"", "x", "net", "example.com", "example.com/", "/example.com/x", "example.com//x", "https://example.com/x", "example.com/x y", "example.com/.x", "example.com/x.",
		"example.com/../x", "Example.com/x", "example.com/é", "example.com/x\n", "example.com/x@v1", `example.com/"x"`, library, library + "/plugins/x", ".com/x",
	} {
		var wrong *NameError
		if err := CheckModule(module); !errors.As(err, &wrong) {
			t.Errorf("%q can be used: %v", module, err)
		}
	}
}

// left returns what is in a folder, apart from .git.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".git" {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestWrite: another name gives Go code in gofmt's form, without a trace of the example.
func TestWrite(t *testing.T) {
	above := t.TempDir()
	p := Plugin{Name: "my-cloud", Module: "example.com/me/fleeting-plugin-my-cloud", Dir: filepath.Join(above, "x"), Replace: "/a path/taskscaler", Version: "v1.2.3"}
	files, err := Write(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range []string{"shed", "__", "examples/plugin"} {
			if strings.Contains(string(text), trace) && name != "go.sum" {
				t.Errorf("%s has %q", name, trace)
			}
		}
		if formatted, err := format.Source(text); strings.HasSuffix(name, ".go") && (err != nil || string(formatted) != string(text)) {
			t.Errorf("%s is not in gofmt's form: %v", name, err)
		}
	}
	mod, err := os.ReadFile(filepath.Join(p.Dir, "go.mod"))
	if err != nil || !strings.Contains(string(mod), library+" v1.2.3\n") || !strings.HasSuffix(string(mod), `replace `+library+` => "/a path/taskscaler"`+"\n") {
		t.Errorf("go.mod is\n%s, %v", mod, err)
	}
	if got := left(t, above); len(got) != 1 {
		t.Errorf("beside the plugin there is %v", got)
	}
	if info, err := os.Stat(p.Dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	plain := Plugin{Name: "x", Module: "example.com/x", Dir: filepath.Join(above, "y")}
	if _, err := Write(plain); err != nil {
		t.Fatal(err)
	}
	if mod, err := os.ReadFile(filepath.Join(plain.Dir, "go.mod")); err != nil || strings.Contains(string(mod), "replace") {
		t.Errorf("go.mod is\n%s, %v", mod, err)
	}
}

// TestWriteInto: an empty folder is filled, also one that git has begun; nothing else is touched.
func TestWriteInto(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := Plugin{Name: "x", Module: "example.com/x", Dir: dir}
	if _, err := Write(p); err != nil {
		t.Fatal(err)
	}
	before := len(left(t, dir))
	if _, err := Write(p); before < 10 || err == nil || !strings.Contains(err.Error(), "not empty") || len(left(t, dir)) != before {
		t.Errorf("a second time: %v, %v", err, left(t, dir))
	}
}

// TestWriteNothing: after an error there is nothing new.
func TestWriteNothing(t *testing.T) {
	above := t.TempDir()
	file := filepath.Join(above, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Plugin{Name: "x", Module: "example.com/x", Dir: filepath.Join(above, "x")}
	for name, change := range map[string]func(*Plugin){
		"name":            func(p *Plugin) { p.Name = "X" },
		"module":          func(p *Plugin) { p.Module = "x" },
		"a file":          func(p *Plugin) { p.Dir = file },
		"below a file":    func(p *Plugin) { p.Dir = filepath.Join(file, "x") },
		"no folder above": func(p *Plugin) { p.Dir = filepath.Join(above, "a", "b") },
		"not empty":       func(p *Plugin) { p.Dir = above },
	} {
		p := good
		change(&p)
		if _, err := Write(p); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := left(t, above); len(got) != 1 {
			t.Fatalf("%s: %v is left", name, got)
		}
	}
}

// TestMoveFails: if one file cannot be moved, those before it are taken back.
func TestMoveFails(t *testing.T) {
	half, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(half, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "b"), 0o755); err != nil { // a file cannot take the place of a folder
		t.Fatal(err)
	}
	if err := move(half, dir); err == nil || len(left(t, dir)) != 1 {
		t.Errorf("%v, %v is left", err, left(t, dir))
	}
}
