package sshmachine

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// commandAttributes gives a command a session of its own, and kills it when the thread that started it ends (see
// Config.Fork).
func commandAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until the process has ended, and does not reap it. Until it is reaped, no other process gets its number, so that its group
// can be killed safely. It returns false if that is not possible.
func awaitExit(pid int) bool {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return err == nil
		}
	}
}

// KillMarked kills every process that has the mark in its environment. These are all commands of the machine and their descendants, even those that left
// their process group. It returns when several looks found none, or after a second: in the middle of an exec, a process has no environment.
func KillMarked(m Mark) {
	mark := []byte(m.String())
	none := 0
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		pids := marked(mark)
		if len(pids) > 0 {
			none = 0
		} else if none++; none == 3 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// signalGroup sends a signal to the process group of a command.
func signalGroup(pid int, sig syscall.Signal) { _ = unix.Kill(-pid, sig) }

func marked(mark []byte) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range files {
		raw, err := os.ReadFile(path) // for processes of other users this is not permitted
		if err != nil {
			continue
		}
		for v := range bytes.SplitSeq(raw, []byte{0}) {
			if bytes.Equal(v, mark) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
