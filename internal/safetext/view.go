package safetext

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MaxValue is the longest value in a line of a text view, in bytes. It is longer than every name that can be used, and than every sentence of ours.
const MaxValue = 1 << 10

// MaxLine is the longest line of an error in bytes, and maxLines the largest number of its lines.
const (
	MaxLine  = MaxReport
	maxLines = 1000
)

// Text is text that Sprintf made, or that is a part of the program. Sprintf does not change it again.
type Text string

// Sprintf is fmt.Sprintf for text views. The format gives the layout: only its own line breaks, tabs and escapes are in the result. Each value
// becomes printable text on one line, of at most MaxValue bytes, whatever it contains. Values of type Text are not changed.
func Sprintf(format string, args ...any) Text {
	if false {
		_ = fmt.Sprintf(format, args...) // go vet checks the callers as those of fmt.Sprintf
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = value{a}
	}
	return Text(fmt.Sprintf(format, values...))
}

// Fprintf is Sprintf, written to w.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	return io.WriteString(w, string(Sprintf(format, args...)))
}

// value is an argument of Sprintf. It formats as its content does, and makes the result safe.
type value struct{ content any }

// Format implements fmt.Formatter.
func (v value) Format(f fmt.State, verb rune) {
	text := fmt.Sprintf(fmt.FormatString(f, verb), v.content)
	if _, safe := v.content.(Text); !safe {
		text = oneLine(text)
	}
	_, _ = io.WriteString(f, text)
}

// oneLine is Line, but it keeps the spaces of text that is printable: they may be a part of the layout.
func oneLine(text string) string {
	if len(text) <= MaxValue && utf8.ValidString(text) && strings.IndexFunc(text, unprintable) < 0 {
		return text
	}
	return Line(text, MaxValue)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// Lines returns a text of several lines, such as the message of joined errors, for the end of a message. Each line is printable and bounded. The
// lines after the first are indented, so that none of them looks like the beginning of another message.
func Lines(s string) Text {
	var b strings.Builder
	shown, rest := 0, strings.TrimSpace(s)
	for more := true; more; shown++ {
		var line string
		if shown == maxLines {
			fmt.Fprintf(&b, "\n  … and %d more lines", strings.Count(rest, "\n")+1)
			break
		}
		if line, rest, more = strings.Cut(rest, "\n"); shown > 0 {
			b.WriteString("\n  ")
		}
		b.WriteString(Line(line, MaxLine))
	}
	return Text(b.String())
}

// Guard is the writer before a terminal or a file that people read: the second line of defence, for output that was not made with Sprintf. It
// writes the characters that a terminal obeys as escapes: controls except the line break and the tab, marks that change the direction of text,
// and characters without width. The escapes are those of JSON, so a document of JSON keeps its meaning. It is safe for concurrent use if the
// writer behind it is.
type Guard struct {
	to io.Writer

	mu   sync.Mutex // not held while writing, which may block
	part []byte     // the beginning of a character that the next Write continues
}

// NewGuard returns a Guard that writes to w.
func NewGuard(w io.Writer) *Guard { return &Guard{to: w} }

// Write implements io.Writer.
func (g *Guard) Write(p []byte) (int, error) {
	whole := g.whole(p)
	var err error
	if plain(whole) {
		_, err = g.to.Write(whole)
	} else {
		_, err = io.WriteString(g.to, Escape(string(whole)))
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// whole returns the bytes up to the last whole character, and keeps the rest.
func (g *Guard) whole(p []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.part) > 0 {
		p = append(g.part, p...)
	}
	end := len(p) - incomplete(p)
	g.part = append([]byte(nil), p[end:]...)
	return p[:end]
}

// Close writes what is left: a character of which the end is missing. It does not close the writer behind it.
func (g *Guard) Close() error {
	g.mu.Lock()
	rest := string(g.part)
	g.part = nil
	g.mu.Unlock()
	if rest == "" {
		return nil
	}
	_, err := io.WriteString(g.to, Escape(rest))
	return err
}

// incomplete returns the length of the unfinished character at the end of text.
func incomplete(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// plain reports whether text is ASCII that Escape does not change.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Escape returns text as a Guard writes it.
func Escape(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, obeyed) < 0 {
		return text
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case !obeyed(r):
			b.WriteRune(r)
		case r > 0xffff: // as two halves of 16 bits
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	return b.String()
}

// obeyed reports whether a terminal, or a viewer of text, does something at r instead of showing it.
func obeyed(r rune) bool {
	if r < 0x7f {
		return r < ' ' && r != '\n' && r != '\t'
	}
	return r == 0x7f || r >= 0x80 && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
