package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPluginNew: the plugin is written, and what to do next is said.
func TestPluginNew(t *testing.T) {
	t.Chdir(t.TempDir())
	code, stdout, stderr := try(t, "plugin", "new", "mycloud", "--module", "example.com/me/fleeting-plugin-mycloud")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "fleeting-plugin-mycloud is written to fleeting-plugin-mycloud: ") {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	for _, step := range []string{"cd fleeting-plugin-mycloud\n", "go mod tidy\n", "go build -o bin/fleeting-plugin-mycloud .\n", "go test ./...\n", "taskscaler validate config.toml\n"} {
		if !strings.Contains(stdout, "    "+step) {
			t.Errorf("the next step %q is not said: %s", step, stdout)
		}
	}
	if _, err := os.Stat("fleeting-plugin-mycloud/group.go"); err != nil {
		t.Error(err)
	}
	if code, stdout, stderr = try(t, "validate", "fleeting-plugin-mycloud/config.toml"); code != 0 || !strings.Contains(stdout, "0 faults, 0 warnings") {
		t.Errorf("its configuration: %d, %q, %q", code, stdout, stderr)
	}
	if code, _, stderr = try(t, "plugin", "new", "mycloud", "--module", "example.com/me/x"); code != exitFailed || !strings.Contains(stderr, "is not empty") {
		t.Errorf("a second time: %d, %q", code, stderr)
	}
}

// TestPluginNewWithSource: with --replace no release is needed, and a relative path becomes an absolute one.
func TestPluginNewWithSource(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(source, filepath.Join(dir, "source")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	code, stdout, stderr := try(t, "plugin", "new", "x", "--module", "example.com/x", "--dir", "here", "--replace", "source")
	if code != 0 || stderr != "" || strings.Contains(stdout, "go mod tidy") || !strings.Contains(stdout, "cd here\n") {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	mod, err := os.ReadFile("here/go.mod")
	if err != nil || !strings.Contains(string(mod), "\nreplace github.com/taskscaler/taskscaler => "+filepath.Join(dir, "source")+"\n") {
		t.Errorf("go.mod is\n%s, %v", mod, err)
	}
}

// TestPluginNewRefuses: a name that cannot be is wrong usage, a folder that cannot be is a failure, and nothing is written.
func TestPluginNewRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "name one plugin"},
		{"a b --module example.com/x", exitUsage, "name one plugin"},
		{"x", exitUsage, "--module is missing"},
		{"x --module=", exitUsage, "--module is empty"},
		{"X --module example.com/x", exitUsage, `the name "X"`},
		{"fleeting-plugin-x --module example.com/x", exitUsage, `without it, "x"`},
		{"a\x1b[31m --module example.com/x", exitUsage, `may have a–z`},
		{"x --module x", exitUsage, "host name"},
		{"x --module example.com/x --dir a/b", exitFailed, "there is no folder a"},
		{"x --module example.com/x --replace .", exitFailed, "--replace . is not the folder"},
		{"x --module example.com/x --nonsense", exitUsage, "nonsense"},
	} {
		code, stdout, stderr := try(t, append([]string{"plugin", "new"}, strings.Fields(c.args)...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "\x1b") {
			t.Errorf("%s: %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
