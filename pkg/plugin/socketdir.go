package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	socketDirPrefix = "taskscaler-plugin-"
	ownerFile       = "owner"
	staleAfter      = time.Minute // a younger folder may not be locked yet
	maxSocketBase   = 60          // bytes; the path of a socket has at most 103 (darwin)
)

// socketDir is a private folder for a plugin's socket. Its owner file is locked while the host runs, so that another host can distinguish
// a folder in use from one that was left behind.
type socketDir struct {
	path  string
	owner *os.File
}

func newSocketDir() (*socketDir, error) {
	base := socketBase()
	sweepSocketDirs(base, time.Now())
	path, err := os.MkdirTemp(base, socketDirPrefix)
	if err != nil {
		return nil, fmt.Errorf("create the plugin's socket folder: %w", err)
	}
	owner, err := os.OpenFile(filepath.Join(path, ownerFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create the plugin's socket folder: %w", err), os.RemoveAll(path))
	}
	lockFile(owner) // succeeds, because the folder is new; without support for locks no folder is swept
	return &socketDir{path: path, owner: owner}, nil
}

// remove deletes the folder. It may be called twice.
func (d *socketDir) remove() {
	_ = os.RemoveAll(d.path)
	_ = d.owner.Close()
}

func socketBase() string {
	if base := os.TempDir(); len(base) <= maxSocketBase {
		return base
	}
	return "/tmp"
}

// sweepSocketDirs removes the folders that killed hosts left behind. It leaves everything that is not certainly ours.
func sweepSocketDirs(base string, now time.Time) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), socketDirPrefix) {
			continue
		}
		path := filepath.Join(base, e.Name())
		if info, err := os.Lstat(path); err != nil || !isOurs(info) || now.Sub(info.ModTime()) < staleAfter {
			continue
		}
		owner, err := os.OpenFile(filepath.Join(path, ownerFile), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lockFile(owner) {
			_ = os.RemoveAll(path)
		}
		_ = owner.Close()
	}
}
