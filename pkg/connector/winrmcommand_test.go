package connector_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

func TestWinRMCommandLines(t *testing.T) {
	if line, err := connector.WinRMCommand("dir & echo %PATH% \"ü\"", connector.WinRMCmd); err != nil || line != "dir & echo %PATH% \"ü\"" {
		t.Errorf("cmd gets %q, %v", line, err)
	}
	var text *connector.CommandTextError
	for command, shell := range map[string]connector.WinRMShell{"a\nb": connector.WinRMCmd, "a\r": connector.WinRMCmd, "a\x00": connector.WinRMCmd,
		"a\x1b": connector.WinRMPowerShell, "a\xff": connector.WinRMPowerShell, "\uffff": connector.WinRMCmd} {
		if _, err := connector.WinRMCommand(command, shell); !errors.As(err, &text) || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%q for %s: %v", command, shell, err)
		}
	}
	var long *connector.CommandTooLongError
	for _, c := range []struct {
		n     int
		shell connector.WinRMShell
		fits  bool
	}{
		{8127, connector.WinRMCmd, true}, {8128, connector.WinRMCmd, false}, {8191, connector.WinRMCmd, false},
		{2800, connector.WinRMPowerShell, true}, {3100, connector.WinRMPowerShell, false},
	} {
		line, err := connector.WinRMCommand(strings.Repeat("ü", c.n), c.shell)
		if (err == nil) != c.fits || err != nil && !errors.As(err, &long) || err == nil && len(utf16.Encode([]rune(line))) > 8191-64 {
			t.Errorf("%d characters for %s: %v", c.n, c.shell, err)
		}
	}
}

// TestWinRMPowerShell: PowerShell gets the script unchanged, between the lines that make its output and its exit code those of the script.
func TestWinRMPowerShell(t *testing.T) {
	const script = "Write-Output 'a  \"b\" ü'\ncmd /c exit 7"
	line, err := connector.WinRMCommand(script, connector.WinRMPowerShell)
	if err != nil {
		t.Fatal(err)
	}
	start, encoded, ok := strings.Cut(line, " -EncodedCommand ")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || !strings.HasPrefix(start, "powershell.exe ") || !strings.Contains(start, "-OutputFormat Text") {
		t.Fatalf("%q, %v", line, err)
	}
	var units []uint16
	for ; len(raw) > 1; raw = raw[2:] {
		units = append(units, binary.LittleEndian.Uint16(raw))
	}
	got := string(utf16.Decode(units))
	before, after, ok := strings.Cut(got, script)
	if !ok || !strings.HasSuffix(before, "\n") || !strings.HasPrefix(after, "\nif($?){exit 0};if($LASTEXITCODE){exit $LASTEXITCODE}") {
		t.Errorf("PowerShell gets %q", got)
	}
}

// TestWinRMShells: the server sees that PowerShell is asked for, and a command that must not be wrapped goes to cmd.
func TestWinRMShells(t *testing.T) {
	s := startWinRM(t, "--prefix", "echo ")
	c := dial(t, s.info, connector.DialOptions{WinRM: connector.WinRMOptions{Shell: connector.WinRMPowerShell}})
	for unwrapped, want := range map[bool]string{false: "powershell.exe -NoLogo", true: "whoami\n"} {
		var out strings.Builder
		err := c.Run(t.Context(), connector.RunOptions{Command: "whoami", Stdout: &out, Unwrapped: unwrapped})
		if err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("unwrapped %t: %q, %v", unwrapped, &out, err)
		}
	}
}

func TestWinRMEnvironment(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	var text *connector.CommandTextError
	for name, value := range map[string]string{"": "x", "A=B": "x", "A": "\x00"} {
		if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0", Env: map[string]string{name: value}}); !errors.As(err, &text) {
			t.Errorf("%q=%q: %v", name, value, err)
		}
	}
}
