package fake

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// patience is how long after its end an instance may still run before it is killed.
const patience = 3 * time.Second

// folder is what the folder of an instance says about it.
type folder struct {
	dir      string
	spec     spec
	ready    *readiness // nil: it does not serve SSH yet
	deleting *deletion  // nil: it was not deleted
	lock     *os.File   // its lock file, kept open to check who holds the lock, even after the folder is gone
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// openFolder reads the folder of an instance.
func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir}
	found, err := readJSON(f.path(specFile), &f.spec)
	if err != nil {
		return nil, err
	}
	if !found || f.spec.ID != filepath.Base(dir) {
		return nil, fmt.Errorf("%s is not the folder of an instance", dir)
	}
	if f.lock, err = os.OpenFile(f.path(lockFile), os.O_RDONLY|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	return f, f.refresh()
}

// refresh reads the files that may be new.
func (f *folder) refresh() error {
	if f.ready == nil {
		var r readiness
		if found, err := readJSON(f.path(readyFile), &r); err != nil {
			return err
		} else if found {
			f.ready = &r
		}
	}
	if f.deleting == nil {
		var d deletion
		if found, err := readJSON(f.path(deletingFile), &d); err != nil {
			return err
		} else if found {
			f.deleting = &d
		}
	}
	return nil
}

func (f *folder) readLogin() (l login, err error) {
	found, err := readJSON(f.path(secretFile), &l)
	if err == nil && !found {
		err = errors.New("its credentials are missing")
	}
	return l, err
}

// end returns when the instance is gone, and with which event.
func (f *folder) end() (at time.Time, as record.Event) {
	at, as = f.spec.end()
	if f.deleting != nil && f.deleting.Until.Before(at) {
		return f.deleting.Until, record.Deleted
	}
	return at, as
}

// alive reports whether the instance's process exists: only that process holds the lock. pid is 0 while it is being started.
func (f *folder) alive() (alive bool, pid int) {
	if isFree(f.lock) {
		return false, 0
	}
	raw := make([]byte, 32)
	n, _ := f.lock.ReadAt(raw, 0)
	pid, _ = strconv.Atoi(strings.TrimSpace(string(raw[:n])))
	return true, pid
}

func (f *folder) close() {
	if f.lock != nil {
		_ = f.lock.Close()
	}
}

// write appends an entry to the record of the instance.
func (f *folder) write(e record.Entry) error {
	w, err := record.Open(f.spec.Record, f.spec.ID, f.spec.Number)
	if err != nil {
		return err
	}
	return errors.Join(w.Write(e), w.Close())
}

// clear removes the folder. It renames the folder first, so that it disappears at once.
func (f *folder) clear() error {
	gone := filepath.Join(filepath.Dir(f.dir), halfGone+filepath.Base(f.dir))
	if err := os.Rename(f.dir, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// start creates the folder and starts the process of instance number n.
func (g *InstanceGroup) start(n uint64, now time.Time) error {
	f := g.newFolder(n, now)
	half := &folder{dir: filepath.Join(g.Dir, halfMade+f.spec.ID), spec: f.spec}
	lock, err := g.fill(half)
	if err == nil {
		f.lock, err = os.Open(half.path(lockFile))
	}
	if err == nil {
		err = os.Rename(half.dir, f.dir)
	}
	if err == nil {
		err = f.write(record.Entry{Time: now, Event: record.Created})
	}
	if err == nil {
		err = g.spawn(f, lock)
	}
	if lock != nil {
		_ = lock.Close()
	}
	if err != nil {
		f.close()
		_ = os.RemoveAll(half.dir)
		_ = os.RemoveAll(f.dir)
		return err
	}
	g.machines[f.spec.ID] = f
	return nil
}

func (g *InstanceGroup) newFolder(n uint64, now time.Time) *folder {
	f := &folder{dir: filepath.Join(g.Dir, g.state.id(n))}
	f.spec = spec{ID: g.state.id(n), Number: n, Created: now, Fate: g.cloud.Fate(n), LifeLimit: g.LifeLimit.Value(), Access: g.access}
	f.spec.Record = f.path(recordFile)
	if g.RecordDir != "" {
		f.spec.Record = filepath.Join(g.RecordDir, f.spec.ID+record.Suffix)
	}
	return f
}

// fill creates the folder under a temporary name. It returns the lock file, locked.
func (g *InstanceGroup) fill(f *folder) (lock *os.File, err error) {
	if err := os.MkdirAll(f.path(workFolder), 0o700); err != nil {
		return nil, err
	}
	lock, err = os.OpenFile(f.path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if !tryLock(lock) {
		return lock, fmt.Errorf("%s is locked by another process", lock.Name())
	}
	key, err := plugin.NewKey(f.spec.ID)
	if err != nil {
		return lock, err
	}
	own := login{Username: f.spec.Access.Username, Key: key.Private}
	if err := writeJSON(f.path(secretFile), own.reveal()); err != nil {
		return lock, err
	}
	full := f.spec
	full.Access.Keys = append([]string{key.Public}, full.Access.Keys...)
	return lock, writeJSON(f.path(specFile), full)
}

// spawn starts this program again as the instance. The process has a session of its own and inherits only the lock, and not the plugin's
// environment, which holds secrets.
func (g *InstanceGroup) spawn(f *folder, lock *os.File) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(f.path(logFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(exe, Subcommand, f.dir)
	cmd.Args[0] = "fleeting-plugin-fake"
	cmd.Dir = "/"
	cmd.Env = inherited("PATH", "LANG", "LC_ALL", "TZ", "GOCOVERDIR", "GORACE") // the last two are for instrumented builds
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{lock} // becomes lockFD
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	g.children[cmd.Process.Pid] = struct{}{}
	return cmd.Process.Release()
}

// inherited returns the given variables of our own environment.
func inherited(names ...string) []string {
	var env []string
	for _, n := range names {
		if v, set := os.LookupEnv(n); set {
			env = append(env, n+"="+v)
		}
	}
	return env
}
