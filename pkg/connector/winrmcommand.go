package connector

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/taskscaler/taskscaler/internal/winrm"
)

// maxCmdLine is the longest command line of cmd.exe, in UTF-16 characters, and cmdOwn is what WinRM adds to ours: the path of cmd.exe, /C and quotes.
const (
	maxCmdLine = 8191
	cmdOwn     = 64
)

// powershell starts a script. Input and output are text: without that, PowerShell writes its errors as XML.
const powershell = "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -InputFormat Text -OutputFormat Text -EncodedCommand "

// The lines around a script: no progress bars among its errors, and the exit code of its last command.
const (
	powershellBefore = "$ProgressPreference='SilentlyContinue'\n"
	powershellAfter  = "\nif($?){exit 0};if($LASTEXITCODE){exit $LASTEXITCODE};exit 1"
)

// winrmCommand returns the line that cmd.exe gets. Nothing of it may be lost or changed on the way.
func winrmCommand(command string, shell WinRMShell) (string, error) {
	if bad := winrm.Unsendable(command); bad != "" {
		return "", &CommandTextError{Reason: fmt.Sprintf("it contains %q: write it to the command's stdin instead", bad)}
	}
	line := command
	if shell == WinRMPowerShell {
		line = powershell + encodeScript(powershellBefore+command+powershellAfter)
	} else if strings.ContainsAny(command, "\r\n") {
		return "", &CommandTextError{Reason: "it has more than one line, and cmd.exe runs only the first: join the lines with &&, or set winrm_shell = \"powershell\" in " +
			"connector_config"}
	}
	if n := len(utf16.Encode([]rune(line))); n > maxCmdLine-cmdOwn {
		return "", &CommandTooLongError{Bytes: n, Limit: maxCmdLine - cmdOwn, shell: shell}
	}
	return line, nil
}

// encodeScript returns a script in the form of -EncodedCommand.
func encodeScript(script string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(script)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// checkEnv refuses variables that cannot be sent.
func checkEnv(env map[string]string) error {
	for name, value := range env {
		if name == "" || strings.Contains(name, "=") || winrm.Unsendable(name) != "" {
			return &CommandTextError{Reason: fmt.Sprintf("%q is no name of an environment variable", name)}
		}
		if bad := winrm.Unsendable(value); bad != "" {
			return &CommandTextError{Reason: fmt.Sprintf("the environment variable %s contains %q: write it to the command's stdin instead", name, bad)}
		}
	}
	return nil
}
