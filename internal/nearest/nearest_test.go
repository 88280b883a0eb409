package nearest

import (
	"strings"
	"testing"
)

var keys = []string{"capacity_per_instance", "connector_config", "delete_instances_on_shutdown", "instance_deadlines", "max_instances",
	"max_use_count", "plugin", "plugin_config", "policy", "scale_throttle", "state_storage", "update_interval", "vm_isolation"}

func TestGuess(t *testing.T) {
	for word, want := range map[string]string{
		"max_instance": "max_instances", "MaxInstances": "max_instances", "max-instances": "max_instances", "update_intervall": "update_interval",
		"pluginconfig": "plugin_config", "plugins": "plugin", "polcy": "policy", "xyzzy": "", "": "", "_": "", strings.Repeat("policy", 20): "",
	} {
		if got := Guess(word, keys); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	for word, want := range map[string]string{"policies": "policy", "capacity": "capacity_per_instance", "instance": "instance_deadlines", "max_": "", "cap": "", "plug": ""} {
		if got := begins(word, keys); got != want {
			t.Errorf("%q begins %q, want %q", word, got, want)
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
