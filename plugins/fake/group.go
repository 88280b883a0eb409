package fake

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/sshmachine"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// groupState is the state that all instances of the group share.
type groupState struct {
	Version    int                 `json:"version"`
	Name       string              `json:"name"`
	Generation string              `json:"generation"` // part of the ids, so that a group that was removed and created again repeats no id
	Started    time.Time           `json:"started"`    // time 0 of the model
	Counters   cloudmodel.Counters `json:"counters"`
	Made       []string            `json:"made,omitempty"` // folders above the group's folder that were created for it, outermost first
}

const stateVersion = 1

func (s *groupState) id(n uint64) string {
	return s.Name + "-" + s.Generation + "-" + strconv.FormatUint(n, 10)
}

func (g *InstanceGroup) elapsed(now time.Time) time.Duration { return max(now.Sub(g.state.Started), 0) }

// locked holds the lock of the group, updates the memory from the folders, and calls do.
func (g *InstanceGroup) locked(ctx context.Context, do func(now time.Time) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.acquire(ctx); err != nil {
		return err
	}
	defer g.release()
	g.reap()
	if err := g.load(); err != nil {
		return err
	}
	now := time.Now()
	if err := g.reconcile(now); err != nil {
		return provider.Errorf(provider.KindTransient, "read %s: %w", g.Dir, err)
	}
	return do(now)
}

// acquire takes the lock of the group. If there is no folder, g.lock stays nil.
func (g *InstanceGroup) acquire(ctx context.Context) error {
	lock, err := lockGroup(ctx, g.Dir, tryLock)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return provider.Errorf(provider.KindTransient, "lock the group: %w", err)
	}
	g.lock = lock
	return nil
}

func (g *InstanceGroup) release() {
	if g.lock != nil {
		_ = g.lock.Close()
		g.lock = nil
	}
}

// lockGroup waits for the lock of a group's folder. take tries to lock the file. If the folder is removed meanwhile, the file is no longer
// the lock.
func lockGroup(ctx context.Context, dir string, take func(*os.File) bool) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if take(file) {
			mine, err := file.Stat()
			current, err2 := os.Stat(path)
			if err == nil && err2 == nil && os.SameFile(mine, current) {
				return file, nil
			}
		}
		_ = file.Close()
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// load reads the state of the group. If there is no file, it keeps the state in memory, so that a group that was empty for a while does not
// repeat its random values.
func (g *InstanceGroup) load() error {
	if g.lock == nil {
		return nil
	}
	var s groupState
	path := filepath.Join(g.Dir, groupFile)
	found, err := readJSON(path, &s)
	if err == nil && found && s.Version != stateVersion {
		err = fmt.Errorf("%s has version %d, but this plugin supports version %d", path, s.Version, stateVersion)
	}
	if err != nil {
		return provider.Errorf(provider.KindConfig, "%w: remove the folder, which ends its instances, or set another dir", err)
	}
	if !found {
		return nil
	}
	if s.Generation != g.state.Generation {
		g.state = s
		return g.newCloud()
	}
	// The model's state after a list is not saved, but its random value must not be drawn again: a list that failed once would fail until
	// the next create.
	lists := max(s.Counters.Lists, g.cloud.Counters().Lists)
	g.state = s
	g.state.Counters.Lists = lists
	g.cloud.SetCounters(g.state.Counters)
	return nil
}

func (g *InstanceGroup) newCloud() error {
	c, err := cloudmodel.New(g.Config, g.Seed)
	if err != nil {
		return &provider.Error{Kind: provider.KindConfig, Err: err}
	}
	c.SetCounters(g.state.Counters)
	g.cloud = c
	g.forget()
	return nil
}

// forget drops all knowledge of the machines.
func (g *InstanceGroup) forget() {
	for id, f := range g.machines {
		f.close()
		delete(g.machines, id)
	}
}

// save writes the state of the group, if the group has a folder.
func (g *InstanceGroup) save() error {
	if g.lock == nil || g.cloud == nil {
		return nil
	}
	g.state.Counters = g.cloud.Counters()
	if err := writeJSON(filepath.Join(g.Dir, groupFile), &g.state); err != nil {
		return provider.Errorf(provider.KindTransient, "write the group's state: %w", err)
	}
	return nil
}

// establish creates the folder and the state of the group, if they do not exist.
func (g *InstanceGroup) establish(ctx context.Context, now time.Time) error {
	for tries := 0; g.lock == nil; tries++ { // the last instance may remove the folder at the same time
		made, err := makeFolders(g.Dir)
		if err != nil && tries > 10 {
			return provider.Errorf(provider.KindConfig, "the group's folder cannot be created: set dir to a folder that can be written: %w", err)
		}
		if err := g.acquire(ctx); err != nil {
			return err
		}
		if len(made) > 0 {
			g.state.Made = made
		}
	}
	if g.state.Generation != "" {
		return nil
	}
	raw := make([]byte, 3)
	_, _ = rand.Read(raw) // never fails
	g.state = groupState{Version: stateVersion, Name: g.Name, Generation: hex.EncodeToString(raw), Started: now, Made: g.state.Made}
	return g.newCloud()
}

// makeFolders creates dir with mode 0700, and returns the folders above it that it created.
func makeFolders(dir string) (made []string, err error) {
	for at := filepath.Dir(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	slices.Reverse(made)
	return made, os.MkdirAll(dir, 0o700)
}

// removeIfEmpty removes the folder of a group without instances, and the folders above it that were created for it. The caller holds the
// lock.
func removeIfEmpty(dir string) {
	ours := []string{groupFile, groupFile + ".tmp", lockFile}
	entries, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() || !slices.Contains(ours, e.Name()) }) {
		return
	}
	var s groupState
	_, _ = readJSON(filepath.Join(dir, groupFile), &s)
	// Rename it first: a process that waits for the lock must not create a new lock in it.
	gone := filepath.Join(filepath.Dir(dir), fmt.Sprintf("%s%s-%d", halfGone, filepath.Base(dir), os.Getpid()))
	if os.Rename(dir, gone) != nil {
		return
	}
	_ = os.RemoveAll(gone)
	if filepath.Base(filepath.Dir(dir)) == defaultParent {
		_ = os.Remove(filepath.Dir(dir)) // fails if another group is in it
	}
	for _, parent := range slices.Backward(s.Made) {
		_ = os.Remove(parent)
	}
}

// reconcile updates the machines in memory and in the model from the folders and processes.
func (g *InstanceGroup) reconcile(now time.Time) error {
	seen, err := g.scan(now)
	if err != nil {
		return err
	}
	for _, id := range sortedIDs(g.machines) {
		f := g.machines[id]
		if seen[id] {
			g.remember(f, now)
			continue
		}
		if alive, pid := f.alive(); alive { // its folder is gone, so it ends soon
			if end, _ := f.end(); pid > 0 && now.After(end.Add(patience)) {
				killProcess(pid)
			}
			continue
		}
		f.close()
		delete(g.machines, id)
		if g.cloud != nil {
			g.cloud.Kill(g.elapsed(now), f.spec.Number)
		}
	}
	if g.cloud != nil {
		g.scratch = g.cloud.Advance(g.elapsed(now), g.scratch[:0])
	}
	return nil
}

// scan reads every folder. It removes folders that were not completely created or removed, and machines whose process was killed.
func (g *InstanceGroup) scan(now time.Time) (seen map[string]bool, err error) {
	if g.lock == nil {
		return nil, nil
	}
	entries, err := os.ReadDir(g.Dir)
	if err != nil {
		return nil, err
	}
	seen = map[string]bool{}
	for _, e := range entries {
		path := filepath.Join(g.Dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), halfMade): // we hold the lock, so the process that was creating it is dead
			_ = os.RemoveAll(path)
		case strings.HasPrefix(e.Name(), halfGone):
			if f, err := os.Open(filepath.Join(path, lockFile)); err != nil || isFree(f) {
				_ = f.Close()
				_ = os.RemoveAll(path)
			} else {
				_ = f.Close()
			}
		default:
			seen[e.Name()] = g.inspect(path, now)
		}
	}
	return seen, nil
}

// inspect reads the folder of an instance and reports whether the instance exists.
func (g *InstanceGroup) inspect(dir string, now time.Time) bool {
	id := filepath.Base(dir)
	f := g.machines[id]
	if f == nil {
		var err error
		if f, err = openFolder(dir); err != nil && !exists(dir) {
			return false // it ended at this moment
		} else if err != nil {
			g.log.Warn("a folder in the group's folder does not belong to an instance: it is ignored", "folder", dir, "error", err)
			return false
		}
	} else if err := f.refresh(); err != nil {
		g.log.Warn("an instance's folder cannot be read", "instance", id, "error", err)
	}
	alive, pid := f.alive()
	end, as := f.end()
	switch {
	case alive && now.After(end.Add(patience)) && pid > 0:
		g.log.Warn("an instance still runs after its end and is killed", "instance", id)
		killProcess(pid)
	case !alive && f.deleting != nil && now.Before(f.deleting.Until):
		// Its process was killed while it was being deleted. The deletion still takes its modelled time.
	case !alive:
		g.bury(f, now, end, as)
		return false
	}
	g.machines[id] = f
	return true
}

// bury removes a machine whose process was killed, with the processes of its commands.
func (g *InstanceGroup) bury(f *folder, now, end time.Time, as record.Event) {
	e := record.Entry{Event: record.Died, Reason: "its process was killed"}
	if !now.Before(end) {
		e = record.Entry{Event: as, Reason: "its process was killed before it could go by itself"}
	}
	sshmachine.KillMarked(markOf(f.dir))
	if err := errors.Join(f.write(e), f.clear()); err != nil {
		g.log.Warn("a dead instance could not be removed", "instance", f.spec.ID, "error", err)
	}
}

// remember adds an existing machine to the model, unless the model knows it or it should be gone.
func (g *InstanceGroup) remember(f *folder, now time.Time) {
	if end, _ := f.end(); !now.Before(end) || g.cloud == nil {
		return
	}
	asked := cloudmodel.Never
	if f.deleting != nil {
		asked = max(f.deleting.Asked.Sub(g.state.Started), 0)
	}
	g.cloud.Restore(f.spec.Number, g.elapsed(f.spec.Created), asked, f.spec.Fate)
}

func sortedIDs(m map[string]*folder) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// reap reaps our own children that have ended, so that they do not stay as zombies.
func (g *InstanceGroup) reap() {
	for pid := range g.children {
		if reaped(pid) {
			delete(g.children, pid)
		}
	}
}
