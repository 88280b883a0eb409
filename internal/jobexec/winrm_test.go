package jobexec

import (
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// splitArgv splits a command line as a program of Windows does: by the rules of CommandLineToArgvW for arguments.
func splitArgv(line string) (argv []string) {
	for i := 0; i < len(line); {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		var arg []byte
		quoted := false
		for i < len(line) && (quoted || line[i] != ' ' && line[i] != '\t') {
			slashes := 0
			for i < len(line) && line[i] == '\\' {
				slashes++
				i++
			}
			if i < len(line) && line[i] == '"' {
				for range slashes / 2 {
					arg = append(arg, '\\')
				}
				if slashes%2 == 1 {
					arg = append(arg, '"')
				} else {
					quoted = !quoted
				}
				i++
				continue
			}
			for range slashes {
				arg = append(arg, '\\')
			}
			if i < len(line) && (quoted || line[i] != ' ' && line[i] != '\t') {
				arg = append(arg, line[i])
				i++
			}
		}
		argv = append(argv, string(arg))
	}
	return argv
}

// afterCmd is what cmd.exe leaves of a line in which each special character has a caret. A special character without one fails the test.
func afterCmd(t *testing.T, line string) string {
	t.Helper()
	var out []byte
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '^':
			i++
		case '(', ')', '%', '!', '"', '<', '>', '&', '|':
			t.Errorf("%q has a special character at %d", line, i)
		}
		out = append(out, line[i])
	}
	return string(out)
}

var argvs = [][]string{
	{"echo", "plain"}, {`C:\Program Files\x.exe`, ""}, {"x", `a "quoted" word`, `ends with \`, `ends with \\ and a space \`, `\"`, `\\server\share`},
	{"x", "%PATH%", "a&b", "a|b>c<d", "^", "(x)", "!x!", "it's", "grüß 😀"},
}

func TestQuoteCmd(t *testing.T) {
	for _, argv := range argvs {
		line := quoteCmd(argv)
		got := splitArgv(afterCmd(t, line))
		if len(got) != len(argv) {
			t.Errorf("%q is quoted as %s, which is %q", argv, line, got)
			continue
		}
		for i := range argv {
			if got[i] != argv[i] {
				t.Errorf("%q is quoted as %s, which is %q", argv, line, got)
			}
		}
	}
	if got := quoteCmd([]string{"echo", "a-b", "c:d"}); got != "echo a-b c:d" {
		t.Errorf("plain words are quoted: %s", got)
	}
}

func TestCommandLineOfTheShell(t *testing.T) {
	env := map[string]string{"A": "1"}
	for want, lease := range map[string]control.Lease{
		"A=1 echo 'it'\\''s'": {Connect: &provider.ConnectInfo{}},
		"echo it's":           {Connect: &provider.ConnectInfo{ConnectorConfig: provider.ConnectorConfig{OS: "windows"}}},
		"& 'echo' 'it''s'": {Connect: &provider.ConnectInfo{ConnectorConfig: provider.ConnectorConfig{Protocol: provider.ProtocolWinRM}},
			WinRM: &control.WinRM{Shell: "powershell"}},
	} {
		if got := commandLine(lease, env, []string{"echo", "it's"}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
