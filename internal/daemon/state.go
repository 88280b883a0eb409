package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// privateMark is a file in a state directory that a private manager made. One that it left behind (it was killed) may be taken up, and
// removed, by the next.
const privateMark = "private"

// state is a runner's state while its manager lives. The directory's lock is held from open to close.
type state struct {
	statestore.Store
	bolt  *statestore.Bolt
	mark  string // path of the private mark
	blank bool   // nothing had ever been saved when it was opened
	ours  bool   // it goes at the end: a private manager made it, or it is used for its lock only
}

// journal is the directory of the runner's journal.
func (s *state) journal() string { return filepath.Join(s.bolt.Dir(), "journal") }

// Close is for the manager, which closes its store at the end: the lock stays with us until finish.
func (s *state) Close() error { return nil }

// LeftStateError says that a private manager found instances of another one in the state directory.
type LeftStateError struct {
	Dir       string
	Instances int
	Intents   int
}

// Error says what to do.
func (e *LeftStateError) Error() string {
	return fmt.Sprintf("state directory %s holds the fleet of a manager that is not running (%d instances, %d unfinished creates), which a private one "+
		"would delete at its end; nothing was touched: start it again with `taskscaler run` and use that, or give exec a configuration of its own", e.Dir,
		e.Instances, e.Intents)
}

// openState takes the lock of the runner's state directory and opens the state in it. Where the file says that no state is kept, the
// directory is used for the lock alone.
func openState(r config.Runner, identity, socket string, private bool) (*state, error) {
	storage := r.Autoscaler.StateStorage
	dir := filepath.Join(storage.Dir, identity)
	if former := r.FormerIdentity(); former != "" && !r.Shared {
		if err := takeOver(filepath.Join(storage.Dir, former), dir); err != nil {
			return nil, err
		}
	}
	bolt, err := statestore.OpenBolt(dir, statestore.BoltOptions{Socket: socket})
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
		err = os.Remove(s.mark) // what a private manager left is this one's now
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, bolt.Close())
	}
	return s, nil
}

// claim makes the state a private manager's, if it is empty or was a private manager's before.
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

// finish gives the lock up; with remove, the state goes too.
func (s *state) finish(remove bool) error {
	if !remove {
		return s.bolt.Close()
	}
	if err := os.Remove(s.mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, s.bolt.Close())
	}
	err := s.bolt.Remove()
	for _, made := range []string{s.bolt.Dir(), filepath.Dir(s.bolt.Dir())} { // by an earlier one that was killed; only if they are empty
		_ = os.Remove(made)
	}
	return err
}

// takeOver moves the state of a runner that has an id by now from where it was before. Its lock is taken first, so that nothing is
// moved from under a manager that runs.
func takeOver(from, to string) error {
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(from); err != nil {
		return nil //nolint:nilerr // there is nothing to take over
	}
	old, err := statestore.OpenBolt(from, statestore.BoltOptions{})
	if err != nil {
		return fmt.Errorf("taking over the state that this runner had before it got an id: %w", err)
	}
	if err := errors.Join(old.Close(), os.Rename(from, to)); err != nil {
		return fmt.Errorf("taking over the state that this runner had before it got an id: %w", err)
	}
	return nil
}

var _ statestore.Store = (*state)(nil)
