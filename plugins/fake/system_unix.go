//go:build unix

package fake

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes a lock without waiting. The lock ends when the last process that has the file open closes it.
func tryLock(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }

// awaitLock waits for the same lock and takes it.
func awaitLock(f *os.File) bool {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err == nil
		}
	}
}

// isFree reports whether no process holds the lock that tryLock takes.
func isFree(f *os.File) bool {
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil {
		return false
	}
	return unix.Flock(int(f.Fd()), unix.LOCK_UN) == nil
}

// detach gives the process a session of its own, so that signals to the plugin's group or terminal do not reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// reaped reports whether our child pid has ended, and reaps it.
func reaped(pid int) bool {
	var status unix.WaitStatus
	got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
	return got == pid || err == unix.ECHILD
}

func killProcess(pid int) { signalProcess(pid, unix.SIGKILL) }

func signalProcess(pid int, sig syscall.Signal) { _ = unix.Kill(pid, sig) }
