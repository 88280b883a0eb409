package transcript

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/stage"
)

const (
	heading = "## From nothing to a green run"
	hang    = 9 * time.Minute // only a hang reaches it
)

// TestNewPlugin executes the transcript of docs/plugins.md with the real commands, and with what the module cache has.
func TestNewPlugin(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds a module without the workspace, which takes up to a minute")
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	dir := t.TempDir()
	root, err := stage.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(filepath.Join(root, "docs", "plugins.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Find(string(guide), heading)
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := errors.Join(os.Mkdir(work, 0o700), os.Symlink(root, filepath.Join(dir, "taskscaler"))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", Script(steps))
	cmd.Dir, cmd.WaitDelay = work, 10*time.Second
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=readonly",
		"XDG_RUNTIME_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the transcript of docs/plugins.md fails: %v\n%s", err, out)
	}
	if err := Check(steps, string(out)); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(work, "fleeting-plugin-mycloud", "mycloud-machines", "mycloud-*")); err != nil || len(left) > 0 {
		t.Errorf("machines are left: %v, %v", left, err)
	}
	var commands []string
	for _, s := range steps {
		commands = append(commands, s.Command)
	}
	for _, part := range []string{"taskscaler plugin new ", "go build ", "go test ./...", "taskscaler validate ", "taskscaler exec ", "taskscaler plugin test "} {
		if !strings.Contains(strings.Join(commands, "\n"), part) {
			t.Errorf("the transcript has no %s", part)
		}
	}
}

// TestCheck: a line that is not printed is found, so the transcript cannot say what is not true.
func TestCheck(t *testing.T) {
	document := "\n## A\ntext\n```console\n$ echo one; echo two\none\n$ printf 'a %d z\\n' 5\na … z\n$ true\n```\n## B\n"
	steps, err := Find(document, "## A")
	if err != nil || len(steps) != 3 {
		t.Fatalf("%v, %v", steps, err)
	}
	out, err := exec.Command("bash", "-c", Script(steps)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := Check(steps, string(out)); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"another line":    strings.Replace(document, "\none\n", "\nthree\n", 1),
		"another order":   strings.Replace(document, "\none\n", "\ntwo\none\n", 1),
		"of a later step": strings.Replace(document, "\none\n", "\na 5 z\n", 1),
		"another end":     strings.Replace(document, "a … z", "a … y", 1),
		"another begin":   strings.Replace(document, "a … z", "b … z", 1),
	} {
		steps, err := Find(text, "## A")
		if err != nil {
			t.Fatal(err)
		}
		if Check(steps, string(out)) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Check(append(steps, Step{Command: "more"}), string(out)); err == nil {
		t.Error("a command that was not executed: no error")
	}
	for _, bad := range []string{"", "\n## A\n", "\n## A\n```console\nno command\n```\n", "\n## A\n## B\n```console\n$ x\n```\n"} {
		if steps, err := Find(bad, "## A"); err == nil {
			t.Errorf("%q has the steps %s", bad, fmt.Sprint(steps))
		}
	}
}
