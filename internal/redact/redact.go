// Package redact removes known secrets from texts: those that a plugin prints, and those that an instance answers. It finds a secret as it is, in the
// usual encodings, and with escapes, line ends, colours or broken bytes in it. It cannot find a secret that a program has changed in another way.
package redact

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

const (
	minKeyLine  = 16  // bytes; a shorter line of a private key is not redacted on its own
	minEncoded  = 6   // bytes; the encodings of a shorter secret occur by chance
	minPart     = 6   // runes of the part of a secret at the edge of a line
	maxPattern  = 256 // runes; a longer secret is found by its lines, and whole without damage
	maxAttempts = 128 // at one place of a text; only a text that was made for it has more
)

// Secret is a secret, and what a text shows in its place.
type Secret struct{ Text, Label string }

// Format writes the label, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Label) }

// Key returns a private key, or another secret of several lines, as secrets: the whole, and each line that is long enough.
func Key(text, label string) []Secret {
	if len(text) < minKeyLine {
		return nil
	}
	all := []Secret{{text, label}}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= minKeyLine && !strings.HasPrefix(line, "-----") && line != text {
			all = append(all, Secret{line, label})
		}
	}
	return all
}

// Finder removes a set of secrets. It does not change, so several goroutines may use it at once.
type Finder struct {
	exact    *strings.Replacer
	patterns []*pattern
	first    map[rune][]*pattern // by their first rune
	second   map[rune][]*pattern // by their second rune, for those whose first one is broken
}

// pattern is a secret in the form to which damaged texts are compared.
type pattern struct {
	text  string // the secret
	runes []rune // its runes; each white space is a space
	label string
	least int // runes that must be undamaged
}

// Format writes the number of secrets, whatever the verb.
func (f *Finder) Format(w fmt.State, _ rune) {
	_, _ = fmt.Fprintf(w, "finder of %d secrets", len(f.patterns))
}

// New returns a Finder of these secrets. An empty secret is ignored.
func New(secrets []Secret) *Finder {
	f := &Finder{first: map[rune][]*pattern{}, second: map[rune][]*pattern{}}
	labels := map[string]string{}
	for _, s := range secrets {
		if s.Text == "" {
			continue
		}
		for _, form := range forms(s.Text) {
			labels[form] = s.Label
		}
		f.add(s)
	}
	f.exact = replacer(labels)
	return f
}

func (f *Finder) add(s Secret) {
	p := &pattern{text: s.Text, label: s.Label}
	for _, r := range s.Text {
		if unicode.IsSpace(r) {
			r = ' '
		}
		p.runes = append(p.runes, r)
	}
	if len(p.runes) < 2 || len(p.runes) > maxPattern {
		return
	}
	p.least = min(len(p.runes), max(3, (len(p.runes)+1)/2))
	f.patterns = append(f.patterns, p)
	f.first[p.runes[0]] = append(f.first[p.runes[0]], p)
	f.second[p.runes[1]] = append(f.second[p.runes[1]], p)
}

// replacer replaces the longest first: a secret that is part of another one must not leave a rest of it.
func replacer(labels map[string]string) *strings.Replacer {
	all := make([]string, 0, len(labels))
	for form := range labels {
		all = append(all, form)
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(all))
	for _, form := range all {
		pairs = append(pairs, form, labels[form])
	}
	return strings.NewReplacer(pairs...)
}

// Text returns s without the secrets.
func (f *Finder) Text(s string) string {
	s = f.exact.Replace(s)
	if plain(s) || len(f.patterns) == 0 {
		return s
	}
	return cutOut(s, f.damaged(view(s)))
}

// Line is Text for one of several lines, where a secret may begin in the line before or end in the line after. It also removes the part of a secret at
// either end of the line, if the part has at least 6 runes and half of the secret.
func (f *Finder) Line(s string) string {
	s = f.Text(s)
	if s == "" {
		return s
	}
	var spans []span
	for _, p := range f.patterns {
		least := max(minPart, p.least) // runes, so at least as many bytes
		for n := least; n < len(p.text); n++ {
			rest := len(p.text) - n
			if p.text[n-1] == s[len(s)-1] && strings.HasSuffix(s, p.text[:n]) {
				spans = append(spans, span{len(s) - n, len(s), p.label})
			}
			if p.text[rest] == s[0] && strings.HasPrefix(s, p.text[rest:]) {
				spans = append(spans, span{0, n, p.label})
			}
		}
	}
	return cutOut(s, spans)
}

// span is a part of a text, in bytes.
type span struct {
	from, to int
	label    string
}

// cutOut replaces the spans by their labels. Spans that overlap become one.
func cutOut(s string, spans []span) string {
	if len(spans) == 0 {
		return s
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	var out strings.Builder
	at := 0
	for _, sp := range spans {
		if sp.from >= at {
			out.WriteString(s[at:sp.from])
			out.WriteString(sp.label)
		}
		at = max(at, sp.to)
	}
	out.WriteString(s[at:])
	return out.String()
}
