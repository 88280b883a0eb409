package jobexec

import (
	"strings"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
)

// winrmOptions returns how to connect to the instance of a lease if that is over WinRM.
func winrmOptions(lease control.Lease) connector.WinRMOptions {
	w := lease.WinRM
	if w == nil {
		return connector.WinRMOptions{}
	}
	return connector.WinRMOptions{Shell: connector.WinRMShell(w.Shell), Auth: connector.WinRMAuth(w.Auth), CA: w.CA, Insecure: w.Insecure}
}

// commandLine returns the command line that the shell of the instance splits into exactly argv. Over WinRM the environment needs no part of it.
func commandLine(lease control.Lease, env map[string]string, argv []string) string {
	switch {
	case connector.ProtocolOf(lease.Connect.ConnectorConfig) == "ssh":
		return withEnv(env, Quote(argv))
	case winrmOptions(lease).Shell == connector.WinRMPowerShell:
		return quotePowerShell(argv)
	}
	return quoteCmd(argv)
}

// quotePowerShell quotes for PowerShell: in single quotes only the quote itself is special. PowerShell takes typographic quotes for it too.
func quotePowerShell(argv []string) string {
	double := strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b")
	line := "&"
	for _, arg := range argv {
		line += " '" + double.Replace(arg) + "'"
	}
	return line
}

// quoteCmd quotes for cmd.exe and the program that it starts. The program splits its command line by Windows' rules (CommandLineToArgvW), and
// before that cmd.exe takes each caret away and leaves the character after it alone. Plain words stay unquoted, so that commands of cmd.exe itself, such
// as echo, show no quotes.
func quoteCmd(argv []string) string {
	words := make([]string, len(argv))
	for i, arg := range argv {
		word := arg
		if arg == "" || strings.ContainsAny(arg, " \t\"") {
			word = quoteArgv(arg)
		}
		var b strings.Builder
		for _, c := range word {
			if strings.ContainsRune(`()%!^"<>&|`, c) {
				b.WriteByte('^')
			}
			b.WriteRune(c)
		}
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

// quoteArgv puts arg into double quotes by the rules of CommandLineToArgvW: backslashes are special only before a quote.
func quoteArgv(arg string) string {
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, c := range arg {
		switch c {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1)) // and those that are written already
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteRune(c)
	}
	b.WriteString(strings.Repeat(`\`, slashes) + `"`)
	return b.String()
}
