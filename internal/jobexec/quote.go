package jobexec

import (
	"maps"
	"slices"
	"strings"
)

// Quote returns a command line that a POSIX shell splits into exactly argv.
func Quote(argv []string) string {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = quote(arg)
	}
	return strings.Join(quoted, " ")
}

// quote puts arg into single quotes, in which only the quote itself is special. Plain words stay unquoted, so that logs are easy to read. A
// shell cannot take such a word for a keyword or an assignment (see plain).
func quote(arg string) string {
	if arg != "" && strings.IndexFunc(arg, func(c rune) bool { return !plain(c) }) < 0 && !keyword(arg) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// plain reports whether c has no special meaning in any shell. "=" (an assignment), "~" and "%" are special.
func plain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./:,+@", c)
}

// keyword reports whether a shell may read arg as a keyword where it expects a command.
func keyword(arg string) bool {
	return slices.Contains([]string{"if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in",
		"function", "select", "time", "coproc", "begin", "end", "switch", "repeat", "foreach", "and", "or", "not"}, arg)
}

// withEnv sets environment variables in the command line, because most SSH servers refuse those of the SSH protocol.
func withEnv(env map[string]string, command string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		b.WriteString(name + "=" + quote(env[name]) + " ")
	}
	return b.String() + command
}
