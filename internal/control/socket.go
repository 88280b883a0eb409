package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what fits into a sockaddr_un, without its final zero.
const maxSocketPath = 107

// DefaultSocket is where a manager listens, and a client looks, when no socket is named: $XDG_RUNTIME_DIR/taskscaler/control.sock, else
// /tmp/taskscaler-UID/control.sock. It is the same for every user, root included.
func DefaultSocket(getenv func(string) string) string {
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "taskscaler", "control.sock")
	}
	return filepath.Join("/tmp", "taskscaler-"+strconv.Itoa(os.Getuid()), "control.sock")
}

// FindSocket is DefaultSocket for a client. It refuses a place where somebody else could have put a socket of their own.
func FindSocket(getenv func(string) string) (string, error) {
	path := DefaultSocket(getenv)
	if err := checkPrivate(filepath.Dir(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return path, nil
}

// InUseError says that a live manager serves the socket.
type InUseError struct {
	Path string
	PID  int // 0: not known
}

// Error says what to do.
func (e *InUseError) Error() string {
	who := "a running manager"
	if e.PID > 0 {
		who = fmt.Sprintf("a running manager (pid %d)", e.PID)
	}
	return fmt.Sprintf("the control socket %s is in use by %s: stop that one, or give this one another place with --socket", e.Path, who)
}

// Listener is a control socket. Closing it removes the socket file if it is still the one that Listen made.
type Listener struct {
	*net.UnixListener
	path  string
	made  fs.FileInfo
	close sync.Once
}

// Listen opens the control socket at path: mode 0600, in a directory that is made with mode 0700 when it is missing. A socket file that
// nobody serves is replaced; one that is served is an [*InUseError]; anything else at path is left alone and is an error. With private
// set the directory must belong to this user and be closed to everybody else: it is how a path below /tmp is made safe.
func Listen(path string, private bool) (*Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if len(path) > maxSocketPath-len(temporarySuffix()) {
		return nil, fmt.Errorf("the control socket's path has %d bytes, more than a Unix socket can have: choose a shorter one with --socket: %s",
			len(path), path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if private {
		if err := checkPrivate(dir); err != nil {
			return nil, err
		}
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := checkFree(path); err != nil {
		return nil, err
	}
	return bind(path)
}

func temporarySuffix() string { return fmt.Sprintf(".%d", os.Getpid()) }

// bind listens on a name of its own and renames it into place once its mode is right, so that there is no moment at which somebody
// else could connect, and none without a socket.
func bind(path string) (*Listener, error) {
	temporary := path + temporarySuffix()
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	fail := func(err error) (*Listener, error) {
		return nil, fmt.Errorf("control socket: %w", errors.Join(err, l.Close(), os.Remove(temporary)))
	}
	if err := os.Chmod(temporary, 0o600); err != nil {
		return fail(err)
	}
	made, err := os.Lstat(temporary)
	if err != nil {
		return fail(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fail(err)
	}
	return &Listener{UnixListener: l, path: path, made: made}, nil
}

// Path is where the socket is, absolute.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the socket file, unless another manager has put its own there.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.close.Do(func() {
		if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.made) {
			err = errors.Join(os.Remove(l.path), l.UnixListener.Close())
			return
		}
		err = l.UnixListener.Close()
	})
	return err
}

// checkPrivate refuses a directory that somebody else owns or can enter.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("control socket: %s is not a directory: remove it, or choose another place with --socket", dir)
	case !ok || int(owner.Uid) != os.Getuid():
		return fmt.Errorf("control socket: %s belongs to another user: choose another place with --socket", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("control socket: %s is open to other users (mode %04o): chmod 0700 it, or choose another place with --socket", dir,
			info.Mode().Perm())
	}
	return nil
}

// lockDir keeps two managers that start at the same moment from taking each other's socket for a stale one.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("control socket: locking %s: %w", dir, errors.Join(err, f.Close()))
	}
	return func() { _ = f.Close() }, nil // closing it unlocks it
}

// checkFree returns nil when path is absent or a socket that nobody serves.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("control socket: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("control socket: %s exists and is no socket; it was left as it is: choose another place with --socket", path)
	}
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	if err != nil { // a full backlog or a timeout: somebody holds it
		return &InUseError{Path: path}
	}
	defer func() { _ = conn.Close() }()
	return &InUseError{Path: path, PID: peerPID(conn)}
}
