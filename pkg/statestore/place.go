package statestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/taskscaler/taskscaler/internal/pathguard"
)

// resolve returns the path of a directory without symbolic links. The directory and those above it need not exist. A link to nothing is
// refused: the file system that it leads to is probably not mounted, and the state is there.
func resolve(dir string) (string, error) {
	rest := ""
	for at := dir; ; at = filepath.Dir(at) {
		direct, err := filepath.EvalSymlinks(at)
		switch {
		case err == nil:
			return filepath.Join(direct, rest), nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("state directory: %w", err)
		}
		if err := notDangling(at, "state directory"); err != nil {
			return "", err
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("state directory: %w", err)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// notDangling returns an error if path is a symbolic link. The caller has found out that it leads to nothing.
func notDangling(path, what string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return nil //nolint:nilerr // it is not a link
	}
	return fmt.Errorf("%s %s is a symbolic link to %s, which does not exist (is its file system mounted?): mount it, "+
		"or remove the link to start with an empty state", what, path, target)
}

// checkAbove checks the directories above the state directory, by its path as it was given and without symbolic links: who can write to one
// of them can put another state in the place of ours. If every user can, the directory is refused. If only a group or the owner of a
// directory can, that is a warning: the volumes of containers are like that. Directories that do not exist yet are created with mode 0700.
func checkAbove(dir, direct string) (warnings []string, err error) {
	for _, path := range []string{filepath.Dir(dir), filepath.Dir(direct)} {
		err := pathguard.Walk(existing(path), func(f *pathguard.Fault) error {
			if f.Everyone || f.Foreign && openToAll(filepath.Dir(f.Path)) {
				return fmt.Errorf("another user can replace state directory %s: %w", dir, f)
			}
			if text := fmt.Sprintf("somebody else may be able to replace state directory %s: %v", dir, f); !slices.Contains(warnings, text) {
				warnings = append(warnings, text)
			}
			return nil
		})
		var fault *pathguard.Fault
		if errors.As(err, &fault) {
			return nil, err // other errors come again when the directory is used, with a better message
		}
	}
	return warnings, nil
}

// existing returns the lowest directory of a path that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// trusted reports whether a user may own what the state depends on: this user, or root.
func trusted(uid int) bool { return uid == 0 || uid == os.Geteuid() }

func openToAll(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o002 != 0
}

// checkOwner refuses a state directory or state file that another user owns.
func checkOwner(what, path string, info fs.FileInfo) error {
	if uid, known := ownerOf(info); known && !trusted(uid) {
		return fmt.Errorf("%s %s belongs to user %d, who can change it: run taskscaler as this user, or chown -R %d %s", what, path, uid, os.Geteuid(), path)
	}
	return nil
}
