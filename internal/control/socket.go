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

	"github.com/taskscaler/taskscaler/internal/lockholder"
)

// maxSocketPath is the longest path that fits into a sockaddr_un, without the final zero byte.
const maxSocketPath = 107

// DefaultSocket returns the socket that managers and clients use without --socket: $XDG_RUNTIME_DIR/taskscaler/control.sock, or else
// /tmp/taskscaler-UID/control.sock. The rule is the same for every user, including root.
func DefaultSocket(getenv func(string) string) string {
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "taskscaler", "control.sock")
	}
	return filepath.Join("/tmp", "taskscaler-"+strconv.Itoa(os.Getuid()), "control.sock")
}

// FindSocket is DefaultSocket for a client. It refuses a directory in which another user could have put a socket.
func FindSocket(getenv func(string) string) (string, error) {
	path := DefaultSocket(getenv)
	if err := checkPrivate(filepath.Dir(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return path, nil
}

// InUseError says that a running manager uses the socket.
type InUseError struct {
	Path string
	PID  int // 0: unknown
}

// Error says what to do.
func (e *InUseError) Error() string {
	who := "a running manager"
	if e.PID > 0 {
		who = fmt.Sprintf("a running manager (pid %d)", e.PID)
	}
	return fmt.Sprintf("the control socket %s is in use by %s: stop that manager, or give this one another path with --socket", e.Path, who)
}

// Listener is a control socket. Close removes the socket file, if it is still the one that Listen made.
type Listener struct {
	*net.UnixListener
	path  string
	made  fs.FileInfo
	close sync.Once
}

// Listen opens the control socket at path, with mode 0600. It makes the directory with mode 0700 if it does not exist; with private, only the last
// folder of its path. It replaces a socket
// file that no process uses. If a process uses the socket, the error is an [*InUseError]. Any other file at path is an error and is not
// modified. With private, the directory must belong to this user, and other users must not be able to enter it; this makes a path below
// /tmp safe.
func Listen(path string, private bool) (*Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if len(path) > maxSocketPath-len(temporarySuffix()) {
		return nil, fmt.Errorf("the path of the control socket has %d bytes, which is too long for a Unix socket: give a shorter path with --socket: %s",
			len(path), path)
	}
	dir := filepath.Dir(path)
	if parent := filepath.Dir(dir); private {
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) { // a wrong XDG_RUNTIME_DIR must not become a folder
			return nil, fmt.Errorf("control socket: %s does not exist: correct XDG_RUNTIME_DIR, or give the path of a socket with --socket", parent)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if private {
		if err := checkPrivate(dir); err != nil {
			return nil, err
		}
	}
	unlock, err := lockDir(dir, lockTime)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := checkFree(path); err != nil {
		return nil, err
	}
	return bind(path, os.Chmod)
}

func temporarySuffix() string { return fmt.Sprintf(".%d/s", os.Getpid()) }

// bind listens on a name in a directory that no other user can enter, sets the mode, and renames the socket. So no other user can connect at any
// moment, whatever the umask is, and there is always a socket. chmod is os.Chmod.
func bind(path string, chmod func(string, fs.FileMode) error) (*Listener, error) {
	temporary := path + temporarySuffix()
	dir := filepath.Dir(temporary)
	err := errors.Join(removeIfThere(temporary), removeIfThere(dir)) // of a process that had this pid and was killed
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer func() { _ = os.Remove(dir) }()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	fail := func(err error) (*Listener, error) {
		return nil, fmt.Errorf("control socket: %w", errors.Join(err, l.Close(), os.Remove(temporary)))
	}
	if err := chmod(temporary, 0o600); err != nil {
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

// Path returns the absolute path of the socket.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the socket file, unless another manager has replaced it.
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

// checkPrivate refuses a directory that another user owns or can enter.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("control socket: %s is not a directory: remove it, or give another path with --socket", dir)
	case !ok || int(owner.Uid) != os.Getuid():
		return fmt.Errorf("control socket: %s belongs to another user: give another path with --socket", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("control socket: %s is open to other users (mode %04o): run chmod 0700 on it, or give another path with --socket", dir,
			info.Mode().Perm())
	}
	return nil
}

const (
	lockTime  = 10 * time.Second // how long lockDir waits; a manager holds the lock for milliseconds
	lockPause = 20 * time.Millisecond
)

// lockDir locks the directory. It gives up after so long as patience. Without the lock, two managers that start at the same time could each take the other's socket for a stale one.
func lockDir(dir string, patience time.Duration) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	for began := time.Now(); ; time.Sleep(lockPause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("control socket: cannot lock %s: %w", dir, errors.Join(err, f.Close()))
		}
		if time.Since(began) >= patience {
			return nil, errors.Join(heldBy(dir, f), f.Close())
		}
	}
	return func() { _ = f.Close() }, nil // closing the file releases the lock
}

// heldBy says which process has had the directory locked for too long.
func heldBy(dir string, f *os.File) error {
	if pid, _ := lockholder.Of(f); pid != 0 {
		return fmt.Errorf("control socket: process %d has held the lock of %s for more than %s: end it, or give another path with --socket", pid, dir, lockTime)
	}
	return fmt.Errorf("control socket: another process has held the lock of %s for more than %s: find it with `fuser -v %s` and end it, or give another path "+
		"with --socket", dir, lockTime, dir)
}

// checkFree returns nil when path does not exist, or is a socket that no process uses.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("control socket: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("control socket: %s exists and is not a socket; it was not modified: remove it, or give another path with --socket", path)
	}
	conn, err := net.DialTimeout("unix", path, 2*time.Second)
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	if err != nil { // a full backlog or a timeout: a process uses the socket
		return &InUseError{Path: path}
	}
	defer func() { _ = conn.Close() }()
	return &InUseError{Path: path, PID: peerPID(conn)}
}
