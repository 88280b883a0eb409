// Package safetext is the one rule for text from outside: keys of callers, ids of instances and groups, messages and log lines of plugins. A name is
// refused if a terminal, a log or a table could show it as something else. Other text is quoted and cut, never refused.
package safetext

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits, in bytes.
const (
	MaxName    = 512     // a key, a name of a runner, an id of an instance or of a group
	MaxPath    = 4 << 10 // a path, an address or another text of the configuration
	MaxMessage = 512     // the text of a failure that the core, the log and the journal keep
	MaxReport  = 4 << 10 // the text of a failure for a person who waits for the answer
	shown      = 80      // what a message about a refused name shows of it
	more       = "…"
)

// Line returns s as one line of at most limit bytes. Runs of white space become one space. Everything else that is not printable, and each byte
// that is not UTF-8, becomes an escape of Go's syntax: `\x1b`, `\u202e`. A longer line keeps its beginning and its end, with "…"
// between them: a failure begins with what was done and ends with why it failed.
func Line(s string, limit int) string {
	if len(s) <= limit && isLine(s) {
		return s
	}
	head, tail := s, ""
	if len(s) > 4*limit { // the middle is not shown, so it need not be escaped
		head, tail = s[:2*limit], s[len(s)-2*limit:]
	}
	line := escaped(head)
	if tail != "" {
		line += more + escaped(tail)
	}
	if len(line) <= limit {
		return line
	}
	first, last := max(limit-len(more), 0)*2/3, max(limit-len(more), 0)/3
	from := len(line) - last
	for from < len(line) && !utf8.RuneStart(line[from]) {
		from++
	}
	return upTo(line, first) + more + line[from:]
}

func escaped(s string) string {
	var b strings.Builder
	space := false
	for rest := s; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		first := rest[0]
		rest = rest[size:]
		switch {
		case r == utf8.RuneError && size == 1:
			escapeByte(&b, first, &space)
		case unicode.IsSpace(r):
			space = b.Len() > 0
		case unicode.IsPrint(r):
			flush(&b, &space)
			b.WriteRune(r)
		default:
			flush(&b, &space)
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// isLine reports whether Line leaves s as it is. It is for the usual case, and may say false for a text that Line would not change.
func isLine(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			return false
		}
	}
	return true
}

func flush(b *strings.Builder, space *bool) {
	if *space {
		b.WriteByte(' ')
		*space = false
	}
}

func escapeByte(b *strings.Builder, c byte, space *bool) {
	flush(b, space)
	fmt.Fprintf(b, `\x%02x`, c)
}

// UTF8 returns the beginning of s as valid UTF-8 of at most limit bytes: what can be sent in a protocol of texts. Bytes that are not UTF-8 become escapes, as in
// Line. Lines and control characters stay.
func UTF8(s string, limit int) string {
	if len(s) <= limit && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	none := false
	for rest := s; rest != "" && b.Len() <= limit; {
		r, size := utf8.DecodeRuneInString(rest)
		first := rest[0]
		rest = rest[size:]
		if r == utf8.RuneError && size == 1 {
			escapeByte(&b, first, &none)
			continue
		}
		b.WriteRune(r)
	}
	if b.Len() <= limit {
		return b.String()
	}
	return upTo(b.String(), max(limit-len(more), 0)) + more
}

// upTo returns at most the first end bytes of s, and no part of a rune.
func upTo(s string, end int) string {
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:min(end, len(s))]
}

// CheckName returns nil for a name that can be used: 1 to MaxName bytes of printable UTF-8 with more than spaces. Else it returns what is wrong
// with it, to be put after the noun: "the key" + " is empty".
func CheckName(s string) error { return CheckLine(s, MaxName) }

// CheckLine is CheckName with another limit, for paths and addresses.
func CheckLine(s string, limit int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("is empty")
	case len(s) > limit:
		return fmt.Errorf("has %d bytes, and at most %d can be used: %s", len(s), limit, Quote(s))
	case !utf8.ValidString(s):
		return fmt.Errorf("is not valid UTF-8: %s", Quote(s))
	}
	for _, r := range s {
		if r == utf8.RuneError { // what stands for such bytes after a conversion
			return fmt.Errorf("contains U+FFFD, which stands for bytes that are not UTF-8: %s", Quote(s))
		}
		if !unicode.IsPrint(r) {
			return fmt.Errorf("contains the character %U, which cannot be printed: %s", r, Quote(s))
		}
	}
	return nil
}

// Quote returns the beginning of s in double quotes, for a message about a name that is refused.
func Quote(s string) string {
	begin := upTo(s, shown)
	if len(begin) < len(s) {
		return strconv.Quote(begin) + more
	}
	return strconv.Quote(s)
}
