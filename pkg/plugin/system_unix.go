//go:build unix

package plugin

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolate gives the child a process group of its own, so that Ctrl-C at the terminal does not reach it, and the whole group can be killed.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	wakeAtHostsEnd(cmd.SysProcAttr)
}

// killGroup kills the process group that isolate made. It works on a stopped process too.
func killGroup(pid int) error {
	err := unix.Kill(-pid, unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

func closeOnExec(fd int) { unix.CloseOnExec(fd) }

const canLifeline = true

// nonBlock opens a named pipe without waiting for its writer.
const nonBlock = unix.O_NONBLOCK

// lockFile takes a lock that ends with the process. It returns false if another process holds it.
func lockFile(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }

// isOurs reports whether the folder belongs to this user and other users have no access.
func isOurs(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid() && info.Mode().Perm() == 0o700
}

func noExecFormat(err error) bool { return errors.Is(err, unix.ENOEXEC) }
