package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// TestJournalHoldsNoSecrets: a manager with a token and real keys of instances is killed and started again. Neither the files of its
// journal nor the output of a replay contain these secrets, and the whole journal can be replayed.
func TestJournalHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	secrets := []string{"glrt-e2e-secret"}
	config := settings{
		autoscaler: "max_instances = 2\n" + deleting,
	}.String()
	w := newWorld(t, strings.Replace(config, "name = \"e2e\"\n", "name = \"e2e\"\ntoken = \""+secrets[0]+"\"\n", 1))
	m := w.manager()
	jobs, letGo := heldJobs(w, 2)
	encoded, lines := w.keys()
	secrets = append(append(secrets, encoded...), lines...)
	var status control.Status
	if err := json.Unmarshal([]byte(w.prints("status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
	dir := status.Runners[0].Journal
	if dir != filepath.Join(w.dir, ".taskscaler", status.Runners[0].Identity, "journal") {
		t.Errorf("the journal is in %q", dir)
	}
	state, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "state.db"))
	for _, s := range encoded {
		if err != nil || !bytes.Contains(state, []byte(s)) {
			t.Errorf("the state file contains no keys, so this test proves nothing (%v)", err)
		}
	}
	keys := map[string]bool{}
	lives := replayed(t, dir, secrets, keys)
	if lives != 1 || !keys["job-00"] || !keys["job-01"] {
		t.Errorf("directly after a status: %d lives, %v", lives, keys)
	}
	m.signal(syscall.SIGKILL)
	m.wait()
	m = w.manager()
	w.fleet("all callers are back", func(f *taskscaler.Status) bool { return f.Counts.Leases == 2 && detached(f) == 0 })
	letGo()
	for i, j := range jobs {
		j.expect(i, "on\noff\n")
	}
	m.drained()
	if lives := replayed(t, dir, secrets, keys); lives != 2 {
		t.Errorf("%d lives", lives)
	}
	w.sound()
}

// keys returns the private keys of the instances, as they stand in JSON and line by line. The first line of a key is the same for all of them.
func (w *world) keys() (encoded, lines []string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, ".taskscaler-fake", "*", "*", "secret.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		var own struct{ Key string }
		data, err := os.ReadFile(f)
		if err == nil {
			err = json.Unmarshal(data, &own)
		}
		all := strings.Fields(own.Key)
		if err != nil || len(all) < 8 {
			w.t.Fatalf("%s: %d words, %v", f, len(all), err)
		}
		encoded = append(encoded, base64.StdEncoding.EncodeToString([]byte(own.Key)))
		lines = append(lines, all[5], all[6])
	}
	if len(lines) == 0 {
		w.t.Fatal("no instance has a key")
	}
	return encoded, lines
}

// replayed replays a journal and looks for secrets in it. It returns the number of lives, and the keys that asked for a lease.
func replayed(t *testing.T, dir string, secrets []string, keys map[string]bool) (lives int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		without(t, f, string(data), secrets)
	}
	j, err := journal.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = j.Replay(journal.ReplayOptions{}, func(s journal.Step) error {
		if s.Begin == journal.BeginLife {
			lives++
		}
		for _, ev := range s.Events {
			keys[string(ev.Key)] = true
		}
		without(t, "a step", fmt.Sprintf("%+v %+v %+v", s.Core.Snapshot(), s.Events, *s.Batch), secrets)
		return s.Core.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
	return lives
}

func without(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s holds %q", what, s)
		}
	}
}
