package safetext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/internal/safetext"
)

func TestSprintf(t *testing.T) {
	err := errors.New("a\nb\x1b[2J")
	for _, c := range []struct {
		got  safetext.Text
		want string
	}{
		{safetext.Sprintf("\n%s\t%s", "x", "y  "), "\nx\ty  "},
		{safetext.Sprintf("%s", "a\nb"), "a b"},
		{safetext.Sprintf("%v|%s|%q", err, err, "a\nb\x1b"), `a b\x1b[2J|a b\x1b[2J|"a\nb\x1b"`},
		{safetext.Sprintf("%5d|%-4s|%.1f|%t", 7, "x", 1.25, true), "    7|x   |1.2|true"},
		{safetext.Sprintf("%v", []string{"a\nb", "\u202e"}), `[a b \u202e]`},
		{safetext.Sprintf("%s", []byte("a\xff")), `a\xff`},
		{safetext.Sprintf("%v", nil), "<nil>"},
		{safetext.Sprintf("%s", safetext.Sprintf("\x1b[1m%s", "\x1b")), "\x1b[1m\\x1b"},
		{safetext.Sprintf("größe 日本 ✓ %s", "größe 日本 ✓"), "größe 日本 ✓ größe 日本 ✓"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if got := safetext.Sprintf("%s", strings.Repeat("x", 1<<20)+"end"); len(got) > safetext.MaxValue || !strings.HasSuffix(string(got), "xend") {
		t.Errorf("a long value has %d bytes", len(got))
	}
	var out strings.Builder
	if _, err := safetext.Fprintf(&out, "%s\n", "a\nb"); err != nil || out.String() != "a b\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestLines(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"one":                     "one",
		"one\ntwo\r\n\tthree\n\n": "one\n  two\n  three",
		"a\x1b[2J\n\u2028b":       "a\\x1b[2J\n  b",
	} {
		if got := safetext.Lines(in); string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	many := string(safetext.Lines(strings.Repeat(strings.Repeat("x", 10_000)+"\n", 2000)))
	if strings.Count(many, "\n") != 1000 || !strings.HasSuffix(many, "\n  … and 1000 more lines") || len(many) > 1001*(safetext.MaxLine+3) {
		t.Errorf("%d lines, %d bytes, %q", strings.Count(many, "\n"), len(many), many[len(many)-40:])
	}
}

func TestGuard(t *testing.T) {
	for in, want := range map[string]string{
		"a\n\tb größe 日本 ✓ \u00a0": "a\n\tb größe 日本 ✓ \u00a0",
		"\x1b[2J\r\x00\x7f":        `\u001b[2J\u000d\u0000\u007f`,
		"\u0085\u009b\u200b\u202e": `\u0085\u009b\u200b\u202e`,
		"\U000e0041\ufeff\xff":     `\udb40\udc41\ufeff\xff`,
		"\xe2\x80":                 `\xe2\x80`, // the end is missing
	} {
		var whole, parts bytes.Buffer
		for step, out := range map[int]*bytes.Buffer{len(in): &whole, 1: &parts} {
			g := safetext.NewGuard(out)
			for i := 0; i < len(in); i += step {
				if n, err := io.WriteString(g, in[i:i+step]); err != nil || n != step {
					t.Errorf("%q: %d, %v", in, n, err)
				}
			}
			if err := g.Close(); err != nil || out.String() != want {
				t.Errorf("%q by %d: %q, want %q, %v", in, step, out.String(), want, err)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := safetext.NewGuard(failing{broken}).Write([]byte("\x1b")); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whatever a value holds, the line stays one printable line; whatever is written to a Guard, a terminal shows it, and JSON keeps its meaning.
func TestViewsOfAnyBytes(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		in := string(draw.Slice(draw.Byte(), 0, 80).Draw(t, "bytes"))
		if draw.Range(0, 1).Draw(t, "runes") == 1 { // more of what is encoded well
			var runes []rune
			for _, b := range []byte(in) {
				runes = append(runes, []rune{rune(b), 0x2000 + rune(b), 0xe0000 + rune(b), 0x600 + rune(b)}[b%4])
			}
			in = string(runes)
		}
		for _, verb := range []string{"%s", "%q", "%v", "%20s", "%-20v", "%x"} {
			line := string(safetext.Sprintf(verb, in))
			for _, r := range line {
				if !unicode.IsPrint(r) {
					t.Fatalf("%s of %q is %q", verb, in, line)
				}
			}
		}
		var out bytes.Buffer
		guard := safetext.NewGuard(&out)
		raw, _ := json.Marshal(in)
		for _, b := range raw {
			_, _ = guard.Write([]byte{b})
		}
		_ = guard.Close()
		var back, want string
		if err := errors.Join(json.Unmarshal(out.Bytes(), &back), json.Unmarshal(raw, &want)); err != nil || back != want {
			t.Fatalf("JSON of %q became %q: %v", in, back, err)
		}
		if text := safetext.Escape(in); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
		}) {
			t.Fatalf("%q became %q", in, text)
		}
	})
}

func ExampleSprintf() {
	fmt.Println(safetext.Sprintf("instance %s: %s", "i-1\nFORGED", "\x1b[2Jgone"))
	// Output: instance i-1 FORGED: \x1b[2Jgone
}
