package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEmbed runs the example with a real plugin process and real SSH servers.
func TestEmbed(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "fleeting-plugin-fake")
	if out, err := exec.Command("go", "build", "-o", bin, "../../plugins/fake/cmd/fleeting-plugin-fake").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-plugin", bin, "-jobs", "6", "-v"}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &stdout, &stderr)
	}
	text := stdout.String()
	for i := range 6 {
		for _, want := range []string{"job-%d: leased slot", "job-%[1]d: its output: hello from job-%[1]d\n", "job-%d: released"} {
			if want = fmt.Sprintf(want, i+1); strings.Count(text, want) != 1 {
				t.Errorf("the output does not contain %q exactly once:\n%s", want, text)
			}
		}
	}
	if !strings.HasSuffix(text, "shut down: every instance is deleted\n") {
		t.Errorf("the last line is missing:\n%s", text)
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "taskscaler-*")); err != nil || len(left) > 0 {
		t.Errorf("files that are left: %v, %v", left, err)
	}
}

func TestEmbedSaysWhichPluginIsMissing(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-plugin", "fleeting-plugin-no-such-thing"}, &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), "no-such-thing") {
		t.Errorf("err = %v", err)
	}
}
