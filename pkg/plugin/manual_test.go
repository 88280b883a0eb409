package plugin_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// What a plugin prints if a person starts it.
func TestByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr []string
	}{
		{nil, 1, nil, []string{"testplugin is a plugin of taskscaler", `plugin = "testplugin"`}},
		{[]string{"version"}, 0, []string{"testplugin", "1.2.3", "abc", "taskscaler plugin 1"}, nil},
		{[]string{"-version"}, 0, []string{"1.2.3"}, nil},
		{[]string{"--version"}, 0, []string{"1.2.3"}, nil},
		{[]string{"bootstrap", "x"}, 2, nil, []string{`unknown argument "bootstrap"`, "This is a plugin of taskscaler"}},
		{[]string{"own-subcommand"}, 0, []string{"a sub-command of the plugin's own"}, nil},
	} {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(testPlugin, c.args...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // the exit code is checked below
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, got, c.code)
		}
		for _, side := range []struct {
			got  string
			want []string
		}{{stdout.String(), c.stdout}, {stderr.String(), c.stderr}} {
			if len(side.want) == 0 && side.got != "" {
				t.Errorf("%v: printed %q", c.args, side.got)
			}
			for _, w := range side.want {
				if !strings.Contains(side.got, w) {
					t.Errorf("%v: %q is missing in %q", c.args, w, side.got)
				}
			}
		}
	}
}
