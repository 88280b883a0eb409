package safetext_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/internal/safetext"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"out of quota: 3 of 5":      "out of quota: 3 of 5",
		"Kontingent erschöpft":      "Kontingent erschöpft",
		"caf\xe9":                   `caf\xe9`,
		"a\nlevel=ERROR msg=forged": "a level=ERROR msg=forged",
		"a\r\n\t b  c ":             "a b c",
		"\x1b[2Jgone":               `\x1b[2Jgone`,
		"a\u202eb\u2028c\x00":       "a\\u202eb c\\x00",
		"\U0001f600 and \U000e0001": "\U0001f600 and \\U000e0001",
		strings.Repeat("x", 50):     strings.Repeat("x", 24) + "…" + strings.Repeat("x", 12),
		"connect: " + strings.Repeat("x", 9999) + " disk full": "connect: " + strings.Repeat("x", 15) + "…xx disk full",
		strings.Repeat("é", 30):                                strings.Repeat("é", 12) + "…" + strings.Repeat("é", 6),
		strings.Repeat(" ", 10000):                             "…",
		strings.Repeat("\xff", 1<<20):                          strings.Repeat(`\xff`, 6) + "…" + strings.Repeat(`\xff`, 3),
	} {
		if got := safetext.Line(in, 40); got != want {
			t.Errorf("Line(%.60q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever comes in, what comes out is one bounded, printable line, and a second pass changes nothing.
func TestLineOfAnyBytes(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		in := string(draw.Slice(draw.Byte(), 0, 60).Draw(t, "bytes"))
		limit := draw.Range(3, 80).Draw(t, "limit")
		out := safetext.Line(in, limit)
		if len(out) > limit || !utf8.ValidString(out) || strings.TrimSpace(out) != out {
			t.Fatalf("Line(%q, %d) = %q", in, limit, out)
		}
		for _, r := range out {
			if !unicode.IsPrint(r) {
				t.Fatalf("Line(%q, %d) = %q has %U", in, limit, out, r)
			}
		}
		if again := safetext.Line(out, limit); again != out {
			t.Fatalf("%q became %q", out, again)
		}
		if sent := safetext.UTF8(in, limit); len(sent) > limit || !utf8.ValidString(sent) || utf8.ValidString(in) && len(in) <= limit && sent != in {
			t.Fatalf("UTF8(%q, %d) = %q", in, limit, sent)
		}
	})
}

func TestCheckLine(t *testing.T) {
	if err := safetext.CheckLine(strings.Repeat("k", safetext.MaxPath), safetext.MaxPath); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"/opt/a\nb", "/opt/\x1b", strings.Repeat("k", safetext.MaxPath+1)} {
		if safetext.CheckLine(bad, safetext.MaxPath) == nil {
			t.Errorf("%.20q is a line", bad)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"i", "job 12", "exec-ABC", "/subscriptions/1/vm_0", "größe", strings.Repeat("k", safetext.MaxName)} {
		if err := safetext.CheckName(good); err != nil {
			t.Errorf("%.40q: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                         "is empty",
		" \t ":                     "is empty",
		"a\nb":                     `contains the character U+000A, which cannot be printed: "a\nb"`,
		"a\x1b[1mb":                `contains the character U+001B, which cannot be printed: "a\x1b[1mb"`,
		"a\u202eb":                 "contains the character U+202E, which cannot be printed: \"a\\u202eb\"",
		"a\uFFFDb":                 "contains U+FFFD, which stands for bytes that are not UTF-8: \"a\uFFFDb\"",
		"a\xff":                    `is not valid UTF-8: "a\xff"`,
		strings.Repeat("é", 10000): `has 20000 bytes, and at most 512 can be used: "` + strings.Repeat("é", 40) + `"…`,
	} {
		if err := safetext.CheckName(bad); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", bad, err, want)
		}
	}
}
