package redact

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// element is one rune of a text, after escapes were decoded, and its place in the text.
type element struct {
	r        rune
	noise    bool // not a part of the text proper: a broken byte, a line end, a colour. It may stand for one rune, or for none
	from, to int
}

// plain reports whether s consists of printable ASCII without escapes and without two spaces in a row. Such a text has no damaged secret.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == '\\' || c == '%' || c == ' ' && i > 0 && s[i-1] == ' ' {
			return false
		}
	}
	return true
}

// view returns s as its reader sees it.
func view(s string) []element {
	all := make([]element, 0, len(s))
	for at := 0; at < len(s); {
		e := element{from: at}
		var size int
		switch s[at] {
		case '\\', '%':
			e.r, e.noise, size = unescape(s[at:])
		case '\x1b':
			e.noise, size = true, sequence(s[at:])
		default:
			e.r, size = utf8.DecodeRuneInString(s[at:])
			again := e.r == ' ' && at > 0 && s[at-1] == ' '
			e.noise = e.r == utf8.RuneError || again || !unicode.IsPrint(e.r)
		}
		at += size
		e.to = at
		all = append(all, e)
	}
	return all
}

// sequence returns the length of the terminal sequence at the beginning of s, such as a colour.
func sequence(s string) int {
	if len(s) < 2 || s[1] != '[' {
		return 1
	}
	n := 2
	for n < len(s) && s[n] >= ' ' && s[n] < '@' {
		n++
	}
	return min(n+1, len(s))
}

// unescape decodes the escape at the beginning of s: \n, \", \u0041, \x41 with any number of backslashes, or %41. A byte that is not ASCII is noise.
func unescape(s string) (r rune, noise bool, size int) {
	if s[0] == '%' {
		if c, ok := digits(s[1:], 2); ok {
			return c, noisy(c, 2), 3
		}
		return '%', false, 1
	}
	n := len(s) - len(strings.TrimLeft(s, `\`))
	if n == len(s) {
		return '\\', false, n
	}
	switch c := s[n]; c {
	case 'n', 'r', 't', 'b', 'f', 'v', 'a':
		return 0, true, n + 1
	case '"', '\'', '/':
		return rune(c), false, n + 1
	case 'u', 'x', 'U':
		width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		if r, ok := digits(s[n+1:], width); ok {
			return r, noisy(r, width), n + 1 + width
		}
	}
	return '\\', false, n
}

func digits(s string, n int) (rune, bool) {
	if len(s) < n {
		return 0, false
	}
	v, err := strconv.ParseUint(s[:n], 16, 31)
	return rune(v), err == nil
}

func noisy(r rune, width int) bool {
	return r >= utf8.RuneSelf && width == 2 || r == utf8.RuneError || !unicode.IsPrint(r)
}

// attempt is a secret that was found up to a rune of it.
type attempt struct {
	p      *pattern
	next   int // the rune of p that is expected
	intact int // runes that were found undamaged
	from   int // byte of the text
}

// damaged returns the places of secrets that were found in a text, with any noise in them.
func (f *Finder) damaged(text []element) (found []span) {
	var now, later []attempt
	for i, e := range text {
		later = later[:0]
		for _, a := range now {
			later = a.step(later, e)
		}
		if !e.noise {
			later = begin(later, f.first[e.r], 1, e.from)
			if i > 0 && text[i-1].noise {
				later = begin(later, f.second[e.r], 2, text[i-1].from)
			}
		}
		now, later = later, now
		now, found = finished(now, found, e.to)
	}
	return found
}

// step appends what becomes of a after one more element.
func (a attempt) step(to []attempt, e element) []attempt {
	switch {
	case e.noise:
		to = keep(to, a)
		a.next++
		return keep(to, a)
	case a.p.runes[a.next] == e.r:
		a.next++
		a.intact++
		return append(to, a)
	}
	return to
}

// begin appends an attempt for each of these secrets, of which one rune was found.
func begin(to []attempt, secrets []*pattern, next, from int) []attempt {
	for _, p := range secrets[:min(len(secrets), max(0, maxAttempts-len(to)))] {
		to = append(to, attempt{p, next, 1, from})
	}
	return to
}

// keep appends a, unless the same place of the same secret is expected already by an attempt that is at least as good.
func keep(all []attempt, a attempt) []attempt {
	for i, b := range all {
		if a.p == b.p && a.next == b.next {
			if a.intact > b.intact {
				all[i] = a
			}
			return all
		}
	}
	if len(all) >= maxAttempts {
		return all
	}
	return append(all, a)
}

// finished moves the attempts that have found their whole secret to found.
func finished(all []attempt, found []span, to int) ([]attempt, []span) {
	left := all[:0]
	for _, a := range all {
		switch {
		case a.next < len(a.p.runes):
			left = append(left, a)
		case a.intact >= a.p.least:
			found = append(found, span{a.from, to, a.p.label})
		}
	}
	return left, found
}
