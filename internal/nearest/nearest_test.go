package nearest

import (
	"strings"
	"testing"
)

var keys = []string{"capacity_per_instance", "connector_config", "delete_instances_on_shutdown", "instance_deadlines", "max_instances",
	"max_use_count", "plugin", "plugin_config", "policy", "scale_throttle", "state_storage", "update_interval", "vm_isolation", "call_timeouts", "log_internal_ip"}

func TestGuess(t *testing.T) {
	for word, want := range map[string]string{
		"max_instance": "max_instances", "MaxInstances": "max_instances", "max-instances": "max_instances", "update_intervall": "update_interval",
		"pluginconfig": "plugin_config", "plugins": "plugin", "polcy": "policy", "xyzzy": "", "": "", "_": "", strings.Repeat("policy", 20): "",
	} {
		if got := Guess(word, keys); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	connector := []string{"key_path", "key_passphrase", "key_passphrase_path", "proxy_jump", "proxy_jump_key_path", "proxy_jump_key_passphrase_path", "proxy_jump_host_key",
		"winrm_shell", "winrm_auth", "winrm_ca_file", "idle_count", "idle_time"}
	for word, want := range map[string]string{
		"proxy_jump_key": "proxy_jump_key_path", "proxy_jump_host": "proxy_jump_host_key", "winrm_ca": "winrm_ca_file", "key_pass": "key_passphrase", "proxy_jum": "proxy_jump",
		"proxyjumps": "proxy_jump", "key": "", "idle": "", "winrm": "", "key_path": "key_path",
	} {
		if got := Guess(word, connector); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	for word, want := range map[string]string{"policies": "policy", "capacity": "capacity_per_instance", "instance": "instance_deadlines", "max_": "", "cap": "", "plug": ""} {
		if got := begins(word, keys); got != want {
			t.Errorf("%q begins %q, want %q", word, got, want)
		}
	}
}

// slow is the definition of the distance, as it stands in textbooks.
func slow(a, b []rune) int {
	switch {
	case len(a) == 0:
		return len(b)
	case len(b) == 0:
		return len(a)
	case a[0] == b[0]:
		return slow(a[1:], b[1:])
	}
	best := 1 + min(slow(a[1:], b), slow(a, b[1:]), slow(a[1:], b[1:]))
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		best = min(best, 1+slow(a[2:], b[2:]))
	}
	return best
}

func TestDistance(t *testing.T) {
	words := []string{"", "a", "b", "ab", "ba", "abc", "acb", "cab", "nwe", "new", "kitten", "sitting", "plugin", "pluigns", "Zürich", "Zurich", "policy", "polcy"}
	for _, a := range words {
		for _, b := range words {
			if got, want := distance(a, b), slow([]rune(a), []rune(b)); got != want {
				t.Errorf("%q and %q: got %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestRemedy(t *testing.T) {
	few := []string{"small", "large"}
	for _, c := range []struct {
		word  string
		known []string
		want  string
	}{
		{"smal", few, `did you mean "small"?`},
		{"capacity", keys, `did you mean "capacity_per_instance"?`},
		{"nwe", []string{"list", "info", "new", "test"}, `did you mean "new"?`},
		{"xyzzy", few, "write one of: small, large"},
		{"xyzzy", nil, "it has none"},
		{"max_size_of_them", keys, `the most similar known key is "max_instances"; the manual lists all keys`},
		{strings.Repeat("x", 65), keys, "the manual lists all keys"},
		{"", keys, "the manual lists all keys"},
	} {
		if got := Remedy(c.word, c.known, "the manual"); got != c.want {
			t.Errorf("%q: got %s, want %s", c.word, got, c.want)
		}
	}
}
