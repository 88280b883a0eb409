package jobexec

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for want, argv := range map[string][]string{
		"echo hello":              {"echo", "hello"},
		"'a b' ''":                {"a b", ""},
		`'it'\''s'`:               {"it's"},
		"'$HOME' '`id`' '*'":      {"$HOME", "`id`", "*"},
		"'a=b' '~' '-n' x":        {"a=b", "~", "-n", "x"},
		"'if' 'then'":             {"if", "then"},
		"/bin/sh -c 'exit 7'":     {"/bin/sh", "-c", "exit 7"},
		"'two\nlines' 'ü' 'a!b%'": {"two\nlines", "ü", "a!b%"},
	} {
		want = strings.ReplaceAll(want, "'-n'", "-n")
		if got := Quote(argv); got != want {
			t.Errorf("%q: %s, not %s", argv, got, want)
		}
	}
}

// FuzzQuote: a real shell splits the line into the same arguments, and sets the variables in front of it.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a", "it's", "$(id)", "a\nb", "\\", "'", "''", "-e", "if", "a=b", "~root", "\xff\xfe", "%s", "!!", "#", "{a,b}"} {
		f.Add(seed, "second "+seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		if strings.ContainsRune(one+two, 0) {
			t.Skip("an argument of a process cannot contain NUL")
		}
		show := `printf "%s\\0" "$@" "$TS_A" "$TS_B"`
		line := withEnv(map[string]string{"TS_A": one, "TS_B": two}, Quote([]string{"sh", "-c", show, "name", one, two}))
		out, err := exec.Command("/bin/sh", "-c", line).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := []string{one, two, one, two}
		if got := strings.Split(string(out), "\x00")[:4]; !slices.Equal(got, want) {
			t.Errorf("%q became %q", want, got)
		}
	})
}
