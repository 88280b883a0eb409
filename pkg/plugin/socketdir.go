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
	staleAfter      = time.Minute // a younger folder may not have its lock yet
	maxSocketBase   = 60          // characters; a socket's path may have 103 (darwin)
)

// socketDir is a private folder for a plugin's socket. Its owner file is locked while the host lives, so that another host can tell
// a folder that was left behind from one in use.
type socketDir struct {
	path  string
	owner *os.File
}

func newSocketDir() (*socketDir, error) {
	base := socketBase()
	sweepSocketDirs(base, time.Now())
	path, err := os.MkdirTemp(base, socketDirPrefix)
	if err != nil {
		return nil, fmt.Errorf("making the plugin's socket folder: %w", err)
	}
	owner, err := os.OpenFile(filepath.Join(path, ownerFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the plugin's socket folder: %w", err), os.RemoveAll(path))
	}
	lockFile(owner) // cannot be held by anybody: the folder is new; without locks nothing is swept either
	return &socketDir{path: path, owner: owner}, nil
}

// remove deletes the folder; it may be called twice.
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

// sweepSocketDirs removes the folders of hosts that died without doing it themselves. Whatever is not plainly ours stays.
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
