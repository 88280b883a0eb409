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
}

func newRedactor() *redactor { return &redactor{given: map[string]bool{}} }

// text returns s without secrets.
func (r *redactor) text(s string) string {
	r.mu.Lock()
	if r.replacer == nil {
		r.replacer = r.build()
	}
	replacer := r.replacer
	r.mu.Unlock()
	return replacer.Replace(s)
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
	walkSecrets(v, false, regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|private_?key|api_?key|access_?key`),
		func(s string) {
			for _, form := range forms(s, minSecret) {
				r.given[form] = true
			}
		})
	r.replacer = nil
}

func walkSecrets(v any, secret bool, keys *regexp.Regexp, found func(string)) {
	switch v := v.(type) {
	case string:
		if secret {
			found(v)
		}
	case []any:
		for _, e := range v {
			walkSecrets(e, secret, keys, found)
		}
	case map[string]any:
		for k, e := range v {
			isPath := strings.HasSuffix(k, "_file") || strings.HasSuffix(k, "_path")
			walkSecrets(e, !isPath && (secret || keys.MatchString(k)), keys, found)
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
