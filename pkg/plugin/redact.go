package plugin

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	redacted       = "[redacted]"
	minSecret      = 3   // bytes; shorter values are not redacted, because they occur in every text
	minKeyLine     = 16  // bytes; shorter lines of a private key are not redacted
	maxMadeSecrets = 512 // how many secrets made by the plugin are remembered
)

// redactor removes secrets from texts: those that the operator configured, and the latest ones that the plugin made.
type redactor struct {
	mu       sync.Mutex
	given    map[string]bool
	made     []string // oldest first
	replacer *strings.Replacer

	names    *regexp.Regexp // of keys whose values are secret
	assigned *regexp.Regexp // such a key with its value: password=x, "password":"x"
}

func newRedactor() *redactor {
	const names = `(?:passw|passphrase|secret|token|credential|private_?key|api_?key|access_?key)`
	return &redactor{
		given: map[string]bool{}, names: regexp.MustCompile(`(?i)` + names),
		assigned: regexp.MustCompile(`(?i)((?:[\w.-]*` + names + `[\w.-]*)(?:\s*=\s*|\\?"\s*:\s*))(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s"',;&})\]]+)`),
	}
}

// isSecret reports whether the values of a key are secret. The name of a file is none.
func (r *redactor) isSecret(key string) bool {
	return r.names.MatchString(key) && !strings.HasSuffix(key, "_file") && !strings.HasSuffix(key, "_path")
}

// text returns s without secrets: the known ones, and what is assigned to a name that says that it is secret.
func (r *redactor) text(s string) string {
	r.mu.Lock()
	if r.replacer == nil {
		r.replacer = r.build()
	}
	replacer := r.replacer
	r.mu.Unlock()
	s = replacer.Replace(s)
	if !r.names.MatchString(s) {
		return s
	}
	return r.assigned.ReplaceAllString(s, `${1}`+redacted)
}

func (r *redactor) build() *strings.Replacer {
	all := slices.Clone(r.made)
	for s := range r.given {
		all = append(all, s)
	}
	// The longest first: a secret that is part of another one must not leave a rest of it.
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(all))
	for _, s := range slices.Compact(all) {
		pairs = append(pairs, s, redacted)
	}
	return strings.NewReplacer(pairs...)
}

// addGiven remembers secrets of the operator, for ever.
func (r *redactor) addGiven(c provider.ConnectorConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range credentials(c) {
		r.given[s] = true
	}
	r.replacer = nil
}

// addMade remembers the secrets of a ConnectInfo, until maxMadeSecrets newer ones have come.
func (r *redactor) addMade(c provider.ConnectorConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range credentials(c) {
		if r.given[s] || slices.Contains(r.made, s) {
			continue
		}
		r.made = append(r.made, s)
		r.replacer = nil
	}
	if extra := len(r.made) - maxMadeSecrets; extra > 0 {
		r.made = slices.Delete(r.made, 0, extra)
	}
}

// addConfig remembers the strings in plugin_config whose key says that they are secret.
func (r *redactor) addConfig(config json.RawMessage) {
	var v any
	if json.Unmarshal(config, &v) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.walkSecrets(v, false, func(s string) {
		for _, form := range forms(s, minSecret) {
			r.given[form] = true
		}
	})
	r.replacer = nil
}

func (r *redactor) walkSecrets(v any, secret bool, found func(string)) {
	switch v := v.(type) {
	case string:
		if secret {
			found(v)
		}
	case []any:
		for _, e := range v {
			r.walkSecrets(e, secret, found)
		}
	case map[string]any:
		for k, e := range v {
			isPath := strings.HasSuffix(k, "_file") || strings.HasSuffix(k, "_path")
			r.walkSecrets(e, !isPath && (secret || r.isSecret(k)), found)
		}
	}
}

// credentials returns the secrets of c in each form in which a text may contain them.
func credentials(c provider.ConnectorConfig) []string {
	all := forms(c.Password, minSecret)
	if len(c.Key) == 0 {
		return all
	}
	all = append(all, forms(string(c.Key), minKeyLine)...)
	all = append(all, base64.StdEncoding.EncodeToString(c.Key))
	for line := range strings.Lines(string(c.Key)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			all = append(all, forms(line, minKeyLine)...)
		}
	}
	return all
}

// forms returns s unchanged, as in JSON, and as in Go's %q.
func forms(s string, atLeast int) []string {
	if len(s) < atLeast {
		return nil
	}
	all := []string{s}
	if quoted, err := json.Marshal(s); err == nil {
		all = append(all, strings.Trim(string(quoted), `"`))
	}
	return append(all, strings.TrimSuffix(strings.TrimPrefix(quote(s), `"`), `"`))
}
