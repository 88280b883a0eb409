package jobexec

import (
	"maps"
	"slices"
	"strings"
)

// Quote makes of argv one command line that a POSIX shell takes apart into exactly argv again.
func Quote(argv []string) string {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = quote(arg)
	}
	return strings.Join(quoted, " ")
}

// quote puts arg into single quotes, inside which nothing but the quote itself is special. Plain words stay as they are, for readers of
// logs; the command's name is never taken for a keyword or an assignment because of it (see plain).
func quote(arg string) string {
	if arg != "" && strings.IndexFunc(arg, func(c rune) bool { return !plain(c) }) < 0 && !keyword(arg) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// plain are characters that mean nothing to any shell, wherever they stand. "=" is not among them (an assignment), nor "~" or "%".
func plain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./:,+@", c)
}

// keyword reports whether a shell would take arg for a part of its grammar where a command is expected.
func keyword(arg string) bool {
	return slices.Contains([]string{"if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in",
		"function", "select", "time", "coproc", "begin", "end", "switch", "repeat", "foreach", "and", "or", "not"}, arg)
}

// withEnv sets variables for the command on its own line: most SSH servers refuse those of the protocol.
func withEnv(env map[string]string, command string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		b.WriteString(name + "=" + quote(env[name]) + " ")
	}
	return b.String() + command
}
