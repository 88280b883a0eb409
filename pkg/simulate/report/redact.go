package report

import (
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

const redacted = "[redacted]"

// patterns find what may be a secret: names of keys, scripts, and passwords in URLs.
type patterns struct{ word, script, userinfo *regexp.Regexp }

func newPatterns() patterns {
	return patterns{
		word:     regexp.MustCompile(`(?i)token|passw|passphrase|secret|cred|private|(^|[._-])key($|[._-])`),
		script:   regexp.MustCompile(`(?i)script|command`),
		userinfo: regexp.MustCompile(`(://)[^/@\s"']+@`),
	}
}

// redact returns what a report shows of a TOML file. Of a configuration these are the settings that a simulation uses: concurrent, and of each
// runner its name, its limit and its autoscaler. Comments are left out, because anything may be in them. So are the values that are, or may be,
// secrets: of keys with a suspicious name, of scripts, all texts in plugin_config and environment (their meaning is unknown), and users in URLs.
// A text that is not TOML is not shown at all.
func redact(text string) string {
	var file map[string]any
	if err := toml.Unmarshal([]byte(text), &file); err != nil {
		return "(not shown: it is not TOML, so its secrets cannot be removed)"
	}
	if runners, ok := file["runners"]; ok {
		file = keep(file, "concurrent")
		file["runners"] = keepOfRunners(runners)
	}
	newPatterns().hide(file, false)
	shown, err := toml.Marshal(file)
	if err != nil {
		return "(not shown: it cannot be written without its secrets)"
	}
	return string(shown)
}

func keep(table map[string]any, keys ...string) map[string]any {
	kept := map[string]any{}
	for _, k := range keys {
		if v, ok := table[k]; ok {
			kept[k] = v
		}
	}
	return kept
}

// keepOfRunners returns the part of each runner that a simulation uses. A value of another kind is no configuration, and is not shown.
func keepOfRunners(runners any) []any {
	list, ok := runners.([]any)
	if !ok {
		list = []any{runners}
	}
	kept := []any{}
	for _, r := range list {
		if table, ok := r.(map[string]any); ok {
			kept = append(kept, keep(table, "name", "id", "limit", "autoscaler"))
		}
	}
	return kept
}

// hide replaces the values in a table that must not be shown. opaque says that the table may have secrets under any name.
func (p patterns) hide(table map[string]any, opaque bool) {
	for key, v := range table {
		inside := opaque || slices.Contains([]string{"plugin_config", "environment"}, key)
		table[key] = p.shown(key, v, inside)
	}
}

func (p patterns) shown(key string, v any, opaque bool) any {
	switch v := v.(type) {
	case map[string]any:
		p.hide(v, opaque || p.word.MatchString(key))
		return v
	case []any:
		for i := range v {
			v[i] = p.shown(key, v[i], opaque)
		}
		return v
	case bool:
		return v
	case string:
		if opaque || p.word.MatchString(key) || p.script.MatchString(key) {
			return redacted
		}
		return p.userinfo.ReplaceAllString(v, `${1}`+redacted+`@`)
	}
	if p.word.MatchString(key) {
		return redacted
	}
	return v
}
