package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// TestEncryptedState: a manager whose plain state has the passwords of its instances is killed. The next one, which has a key, encrypts the
// state and takes up the jobs. Without the key no manager starts.
func TestEncryptedState(t *testing.T) {
	t.Parallel()
	key := func(path string) string {
		return settings{autoscaler: "max_instances = 1\n[runners.autoscaler.state_storage]\n" + path}.String()
	}
	w := newWorld(t, key(""))
	m := w.manager()
	jobs, letGo := heldJobs(w, 1)
	states, err := filepath.Glob(filepath.Join(w.dir, ".taskscaler", "*", "state.db"))
	if err != nil || len(states) != 1 {
		t.Fatalf("state files %q, %v", states, err)
	}
	holdsKey := func() bool {
		raw, err := os.ReadFile(states[0])
		if err != nil {
			t.Fatal(err)
		}
		encoded, _ := w.keys()
		return strings.Contains(string(raw), encoded[0])
	}
	if !holdsKey() {
		t.Fatal("the plain state has no key, so this test proves nothing")
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.write("state.key", id.String()+"\n")
	w.write("config.toml", key(`key_file = "state.key"`))
	m.signal(syscall.SIGKILL)
	m.wait()
	m = w.manager()
	w.fleet("the caller is back", func(f *taskscaler.Status) bool { return f.Counts.Leases == 1 && detached(f) == 0 })
	if holdsKey() {
		t.Error("the encrypted state has the key of an instance")
	}
	letGo()
	jobs[0].expect(0, "on\noff\n")
	m.drained()
	w.write("config.toml", key(""))
	refusedUntouched(t, w, states[0], "is encrypted, and no key is configured", "key_file")
	w.write("config.toml", key(`key_file = "state.key"`))
	w.manager().drained()
	w.sound()
}
