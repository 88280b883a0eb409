package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// peer is the process at the other end of a Unix socket, as the kernel knows it. That process need not answer.
type peer struct {
	pid int // 0: unknown
	uid int
}

// askPeer returns the peer of a connection. It is not known for connections that are no Unix sockets.
func askPeer(conn net.Conn) (who peer, known bool) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{}, false
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return peer{}, false
	}
	_ = raw.Control(func(fd uintptr) { who, known = peerOf(fd) })
	return who, known
}

// peerPID returns the process at the other end, or 0 if it is unknown.
func peerPID(conn net.Conn) int {
	who, _ := askPeer(conn)
	return who.pid
}

// StrangerError says that another user's process listens at the manager's socket. It was sent nothing.
type StrangerError struct {
	Path     string
	PID, UID int // PID 0: unknown
}

// Error says what to do.
func (e *StrangerError) Error() string {
	process := "the process"
	if e.PID > 0 {
		process = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s that listens at %s belongs to user %d, and was sent nothing: run the command as that user if this is your manager, or give the "+
		"socket of your manager with --socket", process, e.Path, e.UID)
}

// checkManager refuses a connection whose other end may be no manager of this user: it would get the commands and the input of jobs, and could
// answer that they succeeded. Root may use the managers of other users, at a place that only they can change.
func checkManager(conn net.Conn, path string, me int) error {
	who, known := askPeer(conn)
	if !known || who.uid == me || who.uid == 0 {
		return nil
	}
	if me == 0 {
		if owner, closed := ownerOf(filepath.Dir(path)); closed && (owner == who.uid || owner == 0) {
			return nil
		}
	}
	return &StrangerError{Path: path, PID: who.pid, UID: who.uid}
}

// ownerOf returns the owner of a directory. closed reports whether only the owner (and root) can make files there.
func ownerOf(dir string) (uid int, closed bool) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(owner.Uid), info.Mode().Perm()&0o022 == 0
}

// removeIfThere removes a file or an empty directory.
func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
