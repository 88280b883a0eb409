package report

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

const redacted = `"[redacted]"`

// patterns find what may be a secret: names of keys, values in comments, and passwords in URLs.
type patterns struct{ word, comment, userinfo *regexp.Regexp }

func newPatterns() patterns {
	const word = `(?i)token|passw|secret|cred|private|(^|[._-])key($|[._-])`
	return patterns{
		word:     regexp.MustCompile(word),
		comment:  regexp.MustCompile(`(?i)(#.*?(?:token|passw|secret|cred|private|key)[^=]*=).*$`),
		userinfo: regexp.MustCompile(`(://)[^/@\s"']+@`),
	}
}

// redact returns a TOML text without the values that are, or may be, secrets: values of keys with a suspicious name, all texts in
// plugin_config and environment (their meaning is unknown), and users in URLs. A text that is not TOML is not shown at all.
func redact(text string) string {
	type span struct{ from, to int }
	var spans []span
	p := unstable.Parser{}
	p.Reset([]byte(text))
	find := newPatterns()
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		keys := keysOf(e)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = keys
		case unstable.KeyValue:
			visit(e.Value(), slices.Concat(table, keys), find, func(r unstable.Range) {
				spans = append(spans, span{int(r.Offset), int(r.Offset + r.Length)})
			})
		}
	}
	if p.Error() != nil {
		return "(not shown: it is not TOML, so its secrets cannot be removed)"
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var out bytes.Buffer
	at := 0
	for _, s := range spans {
		if s.to <= s.from || s.from < at {
			continue
		}
		out.WriteString(text[at:s.from])
		out.WriteString(redacted)
		at = s.to
	}
	out.WriteString(text[at:])
	lines := strings.Split(out.String(), "\n")
	for i, line := range lines {
		lines[i] = find.userinfo.ReplaceAllString(find.comment.ReplaceAllString(line, `$1 [redacted]`), `$1[redacted]@`)
	}
	return strings.Join(lines, "\n")
}

func keysOf(e *unstable.Node) []string {
	var keys []string
	for it := e.Key(); it.Next(); {
		keys = append(keys, string(it.Node().Data))
	}
	return keys
}

// visit calls hide for every scalar of a value that must not be shown.
func visit(v *unstable.Node, path []string, find patterns, hide func(unstable.Range)) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			kv := it.Node()
			visit(kv.Value(), slices.Concat(path, keysOf(kv)), find, hide)
		}
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			visit(it.Node(), path, find, hide)
		}
	default:
		name := path[len(path)-1]
		opaque := v.Kind == unstable.String && (slices.Contains(path, "plugin_config") || slices.Contains(path, "environment"))
		if opaque || find.word.MatchString(name) && v.Kind != unstable.Bool {
			hide(v.Raw)
		}
	}
}
