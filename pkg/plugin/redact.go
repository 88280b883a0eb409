package plugin

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/taskscaler/taskscaler/internal/redact"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	redacted       = "[redacted]"
	minSecret      = 3   // bytes; shorter values are not redacted, because they occur in every text
	minNumber      = 6   // digits; shorter numbers of plugin_config are durations, ports and limits
	maxMadeSecrets = 512 // how many secrets made by the plugin are remembered
)

// redactor removes secrets from texts: those that the operator configured, and the latest ones that the plugin made.
type redactor struct {
	mu     sync.Mutex
	given  map[string]bool
	made   []string       // oldest first
	finder *redact.Finder // nil: to be made from given and made

	byName redact.ByName
}

func newRedactor() *redactor {
	return &redactor{given: map[string]bool{}, byName: redact.NewByName()}
}

// isSecret reports whether the values of a key are secret.
func (r *redactor) isSecret(key string) bool { return r.byName.IsSecret(key) }

// text returns s without secrets: the known ones, and what is assigned to a name that says that it is secret.
func (r *redactor) text(s string) string { return r.named(r.known().Text(s)) }

// line is text for one of several lines. It also removes a part of a secret that goes over the end of a line.
func (r *redactor) line(s string) string { return r.named(r.known().Line(s)) }

func (r *redactor) named(s string) string { return r.byName.Text(s, redacted) }

func (r *redactor) known() *redact.Finder {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finder == nil {
		all := make([]redact.Secret, 0, len(r.given)+len(r.made))
		for s := range r.given {
			all = append(all, redact.Secret{Text: s, Label: redacted})
		}
		for _, s := range r.made {
			all = append(all, redact.Secret{Text: s, Label: redacted})
		}
		r.finder = redact.New(all)
	}
	return r.finder
}

// addGiven remembers secrets of the operator, for ever.
func (r *redactor) addGiven(c provider.ConnectorConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range credentials(c) {
		r.given[s] = true
	}
	r.finder = nil
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
		r.finder = nil
	}
	if extra := len(r.made) - maxMadeSecrets; extra > 0 {
		r.made = slices.Delete(r.made, 0, extra)
	}
}

// addConfig remembers the texts and the long numbers in plugin_config whose key says that they are secret.
func (r *redactor) addConfig(config json.RawMessage) {
	var v any
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.walkSecrets(v, false, func(s string) {
		for _, part := range parts(s) {
			r.given[part] = true
		}
	})
	r.finder = nil
}

func (r *redactor) walkSecrets(v any, secret bool, found func(string)) {
	switch v := v.(type) {
	case string:
		if secret {
			found(v)
		}
	case json.Number:
		if secret && len(v) >= minNumber {
			found(v.String())
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

// credentials returns the secrets of c.
func credentials(c provider.ConnectorConfig) []string {
	all := parts(c.Password)
	for _, s := range redact.Key(string(c.Key), redacted) {
		all = append(all, s.Text)
	}
	return all
}

// parts returns s and, if it has several lines, its lines: a log shows them apart.
func parts(s string) []string {
	if len(s) < minSecret {
		return nil
	}
	all := []string{s}
	for _, line := range redact.Key(s, redacted) {
		if line.Text != s {
			all = append(all, line.Text)
		}
	}
	return all
}
