package static

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	lockFile  = "lock"
	stateFile = "state.json"
	lockPause = 20 * time.Millisecond // between two tries to take the lock
)

// state is which hosts are in use. A field that is removed or renamed makes state files of earlier versions unreadable.
type state struct {
	Uses map[string]*use  `json:"uses"` // by host
	Past map[string]*past `json:"past"` // by host, also of hosts that are no longer in the list
}

// use is one use of a host.
type use struct {
	Number    int       `json:"number"` // the ordinal of this use of the host, starting at 1
	Since     time.Time `json:"since"`
	Resetting bool      `json:"resetting,omitempty"` // it was deleted, and its reset command has not succeeded yet
}

// past is what is known of the earlier uses of a host.
type past struct {
	Uses  int       `json:"uses"` // including the present one
	Ended time.Time `json:"ended,omitzero"`
	Dirty bool      `json:"dirty,omitempty"` // the latest use ended without its reset, because the host had left the list; it is reset when it returns
}

func (u *use) id(host string) string { return host + "-" + strconv.Itoa(u.Number) }

// find returns the host and the use of an instance; nil if there is none.
func (s *state) find(id string) (host string, u *use) {
	i := strings.LastIndexByte(id, '-')
	if i < 0 {
		return "", nil
	}
	host = id[:i]
	if u = s.Uses[host]; u == nil || u.id(host) != id {
		return "", nil
	}
	return host, u
}

// take begins a use of a free host.
func (s *state) take(host string) {
	p := s.Past[host]
	if p == nil {
		p = &past{}
		s.Past[host] = p
	}
	p.Uses++
	p.Dirty = false
	s.Uses[host] = &use{Number: p.Uses, Since: time.Now().UTC()}
}

// free ends the use of a host.
func (s *state) free(host string) {
	delete(s.Uses, host)
	if p := s.Past[host]; p != nil {
		p.Ended = time.Now().UTC()
	}
}

// dirty reports whether a host that is not in use must be reset before it may be used.
func (s *state) dirty(host string) bool {
	p := s.Past[host]
	return p != nil && p.Dirty && s.Uses[host] == nil
}

// latest returns the id of the latest use of a host.
func (s *state) latest(host string) string {
	return (&use{Number: s.Past[host].Uses}).id(host)
}

// cleaned records that the reset of a host after a use has succeeded.
func (s *state) cleaned(host, id string) {
	if _, u := s.find(id); u != nil {
		s.free(host)
	} else if s.dirty(host) && s.latest(host) == id {
		s.Past[host].Dirty = false
	}
}

// abandoned records that a host was not reset after a use, because it has left the list.
func (s *state) abandoned(host, id string) {
	if _, u := s.find(id); u != nil {
		s.free(host)
		s.Past[host].Dirty = true // check has made the entry
	}
}

// check returns what cannot be true of a state. It mends what an earlier version may have left out.
func (s *state) check() error {
	for host, u := range s.Uses {
		if u == nil || u.Number <= 0 {
			return fmt.Errorf("the use of host %q has no number", host)
		}
		if s.Past[host] == nil {
			s.Past[host] = &past{}
		}
		s.Past[host].Uses = max(s.Past[host].Uses, u.Number) // else a later use would get the same id
	}
	for host, p := range s.Past {
		if p == nil {
			delete(s.Past, host)
		} else if p.Uses < 0 {
			return fmt.Errorf("the number of uses of host %q is negative", host)
		}
	}
	return nil
}

// locked reads the state while no other process or goroutine changes it. do says whether it changed the state, which is then stored.
func (g *InstanceGroup) locked(ctx context.Context, do func(*state) (changed bool, err error)) error {
	if ctx.Err() != nil {
		return provider.Errorf(provider.KindTransient, "%w", context.Cause(ctx))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return provider.Errorf(provider.KindConfig, "dir: create the folder of the state, or set one that can be written: %w", err)
	}
	lock, err := g.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	s, err := g.load()
	if err != nil {
		return err
	}
	changed, err := do(s)
	if err != nil || !changed {
		return err
	}
	if err := g.store(s); err != nil {
		return provider.Errorf(provider.KindTransient, "store which hosts are in use: %w", err)
	}
	return nil
}

// lock takes the lock of the folder. Closing the file releases it.
func (g *InstanceGroup) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(g.Dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, provider.Errorf(provider.KindConfig, "dir: %w", err)
	}
	for !tryLock(f) {
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			_ = f.Close()
			return nil, provider.Errorf(provider.KindTransient, "wait for another process of this plugin, which holds %s: %w", f.Name(), context.Cause(ctx))
		}
	}
	return f, nil
}

// load reads the state. A file that cannot be read is not replaced by an empty state: hosts in use would be given to other jobs.
func (g *InstanceGroup) load() (*state, error) {
	s := &state{}
	path := filepath.Join(g.Dir, stateFile)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, provider.Errorf(provider.KindConfig, "read which hosts are in use: %w", err)
	default:
		if err := json.Unmarshal(b, s); err != nil {
			return nil, damaged(path, err)
		}
	}
	if s.Uses == nil {
		s.Uses = map[string]*use{}
	}
	if s.Past == nil {
		s.Past = map[string]*past{}
	}
	if err := s.check(); err != nil {
		return nil, damaged(path, err)
	}
	return s, nil
}

func damaged(path string, why error) error {
	return provider.Errorf(provider.KindConfig, "%s is damaged (%w): correct this file, or remove it if no host is in use and every host is clean", path, why)
}

// store writes the state to a new file and renames it, so that a crash leaves the old or the new one.
func (g *InstanceGroup) store(s *state) (err error) {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(g.Dir, stateFile+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(g.Dir, stateFile)); err != nil {
		return fmt.Errorf("replace the state: %w", err)
	}
	return syncDir(g.Dir)
}

// syncDir makes the names in a folder survive a crash of the system.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
