package setup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/taskscaler/taskscaler/pkg/config"
)

// stateRunner returns a runner with these lines in its state_storage.
func stateRunner(t *testing.T, dir, lines string) config.Runner {
	t.Helper()
	return parse(t, dir, "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\n"+
		"[runners.autoscaler.state_storage]\n"+lines).Runners[0]
}

func TestStateOptions(t *testing.T) {
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state.key"), []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"CREDENTIALS_DIRECTORY": dir}[name] }
	for lines, want := range map[string]struct{ ring, plain bool }{
		"":                       {false, true},
		`key_file = "state.key"`: {true, false},
		`key_file = "$CREDENTIALS_DIRECTORY/state.key"`: {true, false},
		"key_file = \"state.key\"\nencrypt = false\n":   {true, true},
	} {
		o, err := StateOptions(stateRunner(t, dir, lines), getenv)
		if err != nil || (o.Keyring != nil) != want.ring || o.Plain != want.plain {
			t.Errorf("%s: %+v, %v", lines, o, err)
		}
	}
	for _, lines := range []string{`key_file = "absent"`, `key_file = "$CREDENTIALS_DIRECTORY/absent"`} {
		if _, err := StateOptions(stateRunner(t, dir, lines), getenv); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), `runner "x"`) {
			t.Errorf("%s: %v", lines, err)
		}
	}
	if _, err := StateOptions(config.Runner{}, getenv); !errors.Is(err, ErrNoAutoscaler) {
		t.Errorf("without the section: %v", err)
	}
}
