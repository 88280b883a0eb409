package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// privateMark is the name of a file that marks the state directory of a private manager. If a private manager was killed, the next one may
// use its state directory and remove it.
const privateMark = "private"

// state is the open state of a runner. It holds the lock of the directory from openState to finish.
type state struct {
	statestore.Store
	bolt  *statestore.Bolt
	mark  string // path of the private mark
	blank bool   // it was empty when it was opened
	ours  bool   // remove it at the end: it is a private manager's, or only its lock is used
}

// journal returns the directory of the runner's journal.
func (s *state) journal() string { return filepath.Join(s.bolt.Dir(), "journal") }

// Close does nothing. The manager calls it at its end, but the lock must be held until finish.
func (s *state) Close() error { return nil }

// Check implements statestore.Checker.
func (s *state) Check() error {
	if store, ok := s.Store.(statestore.Checker); ok {
		return store.Check()
	}
	return nil // a store in memory
}

// LeftStateError says that a private manager found the instances of another manager in the state directory.
type LeftStateError struct {
	Dir       string
	Instances int
	Intents   int
}

// Error says what was found, and what to do.
func (e *LeftStateError) Error() string {
	return fmt.Sprintf("state directory %s holds the instances of a manager that is not running (%s, %s); a private manager "+
		"deletes all instances at its end, so it was not started: start the other manager with `taskscaler run`, or give exec another configuration",
		e.Dir, words.Count(e.Instances, "instance"), words.Count(e.Intents, "unfinished create"))
}

// openState locks the runner's state directory and opens the state in it. If state_storage.enabled is false, only the lock is used.
func openState(r config.Runner, identity string, opts statestore.BoltOptions, private bool) (*state, error) {
	storage := r.Autoscaler.StateStorage
	dir := filepath.Join(storage.Dir, identity)
	if former := r.FormerIdentity(); former != "" && !r.Shared {
		if err := takeOver(filepath.Join(storage.Dir, former), dir, opts); err != nil {
			return nil, err
		}
	}
	bolt, err := statestore.OpenBolt(dir, opts)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		err = fmt.Errorf("%w: make the folder writable for the user that runs taskscaler, or name another one with dir in "+
			"[runners.autoscaler.state_storage]", err)
	}
	if err != nil {
		return nil, err
	}
	s := &state{Store: bolt, bolt: bolt, mark: filepath.Join(dir, privateMark)}
	saved, err := bolt.Load(context.Background())
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	s.blank = saved.State.Empty()
	switch {
	case private:
		err = s.claim(&saved.State)
	case !storage.Enabled:
		s.Store, s.ours = statestore.NewMemory(), true
	default:
		err = os.Remove(s.mark) // if a private manager left this state, it belongs to this manager now
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, bolt.Close())
	}
	return s, nil
}

// claim marks the state as that of a private manager. The state must be empty, or already marked so.
func (s *state) claim(saved *record.Saved) error {
	_, err := os.Stat(s.mark)
	switch {
	case err == nil:
		s.ours = true
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("state directory: %w", err)
	case s.blank:
		s.ours = true
		return os.WriteFile(s.mark, nil, 0o600)
	}
	left := LeftStateError{Dir: s.bolt.Dir()}
	for _, i := range saved.Instances {
		if i.State.Exists() {
			left.Instances++
		}
	}
	for _, i := range saved.Intents {
		if i.Open+i.Doubt > 0 {
			left.Intents++
		}
	}
	if left.Instances+left.Intents > 0 {
		return &left
	}
	return nil
}

// finish releases the lock. With remove, it removes the state too.
func (s *state) finish(remove bool) error {
	if !remove {
		return s.bolt.Close()
	}
	if err := os.Remove(s.mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, s.bolt.Close())
	}
	err := s.bolt.Remove()
	for _, made := range []string{s.bolt.Dir(), filepath.Dir(s.bolt.Dir())} { // the directories; this fails if they are not empty
		_ = os.Remove(made)
	}
	return err
}

// takeOver moves the state of a runner that got an id from its former directory. It takes the lock first, so that the state of a running
// manager is never moved.
func takeOver(from, to string, opts statestore.BoltOptions) error {
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(from); err != nil {
		return nil //nolint:nilerr // there is no former state
	}
	old, err := statestore.OpenBolt(from, opts)
	if err != nil {
		return fmt.Errorf("taking over the state that this runner had before it got an id: %w", err)
	}
	if err := errors.Join(old.Close(), os.Rename(from, to)); err != nil {
		return fmt.Errorf("taking over the state that this runner had before it got an id: %w", err)
	}
	return nil
}

var (
	_ statestore.Store   = (*state)(nil)
	_ statestore.Checker = (*state)(nil)
)
