package daemon

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// aRunner returns a runner whose state directory is in dir.
func aRunner(t *testing.T, dir, more string) config.Runner {
	t.Helper()
	return parse(t, dir, "[[runners]]\nname = \"x\"\n"+more+"executor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\n").Runners[0]
}

func mustOpen(t *testing.T, r config.Runner, private bool) *state {
	t.Helper()
	s, err := openState(r, r.Identity(), statestore.BoltOptions{}, private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// save commits one instance.
func save(t *testing.T, s *state, is record.State) {
	t.Helper()
	changes := &record.Changes{Put: []record.Instance{{ID: "i-1", Serial: 1, State: is}}, Meta: &record.Meta{Group: "g", LastSerial: 1}}
	if err := s.Commit(t.Context(), statestore.Commit{Changes: changes}); err != nil {
		t.Fatal(err)
	}
}

func finish(t *testing.T, s *state, remove bool) {
	t.Helper()
	if err := s.finish(remove); err != nil {
		t.Fatal(err)
	}
}

func isEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", dir, left, err)
	}
}

func TestManagersCloseKeepsTheLock(t *testing.T) {
	r := aRunner(t, t.TempDir(), "")
	s := mustOpen(t, r, false)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var locked *statestore.LockedError
	if _, err := openState(r, r.Identity(), statestore.BoltOptions{}, false); !errors.As(err, &locked) || locked.Owner.PID != os.Getpid() {
		t.Errorf("opened twice: %v", err)
	}
	finish(t, s, false)
	finish(t, mustOpen(t, r, false), false)
}

func TestPrivateStateGoes(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, aRunner(t, dir, ""), true)
	if !s.ours || !s.blank {
		t.Errorf("%+v", s)
	}
	save(t, s, record.Ready)
	finish(t, s, true)
	isEmpty(t, dir)
}

func TestPrivateStateAfterAKill(t *testing.T) {
	dir := t.TempDir()
	r := aRunner(t, dir, "")
	killed := mustOpen(t, r, true)
	save(t, killed, record.Ready)
	if err := killed.bolt.Close(); err != nil { // as if its process had ended
		t.Fatal(err)
	}
	next := mustOpen(t, r, true)
	if saved, err := next.Load(t.Context()); err != nil || len(saved.State.Instances) != 1 {
		t.Errorf("after the restart the state lacks the instance: %v, %v", saved, err)
	}
	finish(t, next, true)
	isEmpty(t, dir)
}

func TestPrivateBesideAFleet(t *testing.T) {
	r := aRunner(t, t.TempDir(), "")
	s := mustOpen(t, r, false)
	save(t, s, record.Ready)
	finish(t, s, false)
	var left *LeftStateError
	if _, err := openState(r, r.Identity(), statestore.BoltOptions{}, true); !errors.As(err, &left) || left.Instances != 1 {
		t.Fatalf("with an instance in the state: %v", err)
	}
	s = mustOpen(t, r, false)
	save(t, s, record.Gone)
	finish(t, s, false)
	s = mustOpen(t, r, true) // only gone instances: a private manager may use the directory, but does not own the state
	if s.ours {
		t.Error("it owns the state of another manager, and removes it at the end")
	}
	finish(t, s, s.ours)
	if _, err := os.Stat(s.bolt.Dir()); err != nil {
		t.Error(err)
	}
}

func TestStateThatAPrivateOneLeftBecomesTheManagers(t *testing.T) {
	r := aRunner(t, t.TempDir(), "")
	killed := mustOpen(t, r, true)
	save(t, killed, record.Ready)
	if err := killed.bolt.Close(); err != nil {
		t.Fatal(err)
	}
	finish(t, mustOpen(t, r, false), false)
	var left *LeftStateError
	if _, err := openState(r, r.Identity(), statestore.BoltOptions{}, true); !errors.As(err, &left) {
		t.Errorf("the next private manager: %v", err)
	}
}

func TestWithoutStateOnlyTheLockIsTaken(t *testing.T) {
	dir := t.TempDir()
	r := aRunner(t, dir, "")
	r.Autoscaler.StateStorage.Enabled = false
	s := mustOpen(t, r, false)
	save(t, s, record.Ready)
	var locked *statestore.LockedError
	if _, err := openState(r, r.Identity(), statestore.BoltOptions{}, true); !errors.As(err, &locked) {
		t.Errorf("a private manager at the same time: %v", err)
	}
	finish(t, s, s.ours)
	isEmpty(t, dir)
}

// TestEncryptedState: the key of the file is used for the state, also for one that is taken over.
func TestEncryptedState(t *testing.T) {
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(id.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	before, after := aRunner(t, dir, ""), aRunner(t, dir, "id = 7\n")
	for _, r := range []*config.Runner{&before, &after} {
		r.Autoscaler.StateStorage.KeyFile, r.Autoscaler.StateStorage.Encrypt = filepath.Join(dir, "key"), true
	}
	opts, err := setup.StateOptions(before, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []config.Runner{before, after} {
		s, err := openState(r, r.Identity(), opts, false)
		if err != nil {
			t.Fatal(err)
		}
		save(t, s, record.Ready)
		raw, err := os.ReadFile(filepath.Join(s.bolt.Dir(), "state.db"))
		if err != nil || !bytes.Contains(raw, []byte("age-encryption.org")) {
			t.Errorf("the state of %s is not encrypted (%v)", r.Identity(), err)
		}
		finish(t, s, false)
	}
	var key *statestore.KeyError
	if _, err := openState(after, after.Identity(), statestore.BoltOptions{}, true); !errors.As(err, &key) {
		t.Errorf("without the key: %v", err)
	}
}

func TestStateFollowsARunnerThatGetsAnID(t *testing.T) {
	dir := t.TempDir()
	before := aRunner(t, dir, "")
	s := mustOpen(t, before, false)
	save(t, s, record.Ready)
	after := aRunner(t, dir, "id = 7\n")
	if before.Identity() == after.Identity() {
		t.Fatal("the identity did not change")
	}
	var locked *statestore.LockedError
	if _, err := openState(after, after.Identity(), statestore.BoltOptions{}, false); !errors.As(err, &locked) {
		t.Errorf("while the other manager runs: %v", err)
	}
	finish(t, s, false)
	s = mustOpen(t, after, false)
	if saved, err := s.Load(t.Context()); err != nil || len(saved.State.Instances) != 1 {
		t.Errorf("the state was not moved: %v, %v", saved, err)
	}
	finish(t, s, false)
	if _, err := os.Stat(filepath.Join(dir, ".taskscaler", before.Identity())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old directory: %v", err)
	}
}

// TestPrivateStateStaysAfterAFailedShutdown: instances that a private manager could not delete are in its state, and the next one deletes them.
func TestPrivateStateStaysAfterAFailedShutdown(t *testing.T) {
	dir := t.TempDir()
	r := aRunner(t, dir, "")
	s := mustOpen(t, r, true)
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	manager, err := taskscaler.New(t.Context(), &undeletable{}, taskscaler.Config{
		CapacityPerInstance: 1, MaxInstances: 1, DeleteOnShutdown: true, ShutdownDeletionRetries: 1, ShutdownDeletionInterval: 10 * time.Millisecond, UpdateIntervalWhenExpecting: 10 * time.Millisecond,
	}, taskscaler.WithStore(s), taskscaler.WithDialer(func(context.Context, provider.ConnectInfo, connector.DialOptions) (connector.Client, error) {
		return silent{}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	lease, err := manager.Acquire(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, end := context.WithCancel(t.Context())
	end()
	run := &runner{file: r, state: s, scaler: manager}
	if err := run.shutdown(gone); err == nil {
		t.Fatal("the shutdown says that it left nothing behind")
	}
	again := mustOpen(t, r, true)
	saved, err := again.Load(t.Context())
	if err != nil || len(saved.State.Instances) != 1 || saved.State.Instances[0].ID != "i-1" {
		t.Errorf("the next one finds %+v, %v", saved, err)
	}
	finish(t, again, true)
}

// undeletable is a group whose instance is never deleted.
type undeletable struct{ oneInstance }

func (g *undeletable) Decrease(context.Context, []string) ([]string, error) {
	return nil, errors.New("the API is down")
}
