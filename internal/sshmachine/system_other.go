//go:build unix && !linux

package sshmachine

import "syscall"

// commandAttributes gives a command a session of its own. There is no portable way to end it when its machine is killed.
func commandAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// awaitExit returns false: there is no portable way to wait without reaping the process.
func awaitExit(int) bool { return false }

// KillMarked does nothing: there is no portable way to read the environment of another process.
func KillMarked(Mark) {}

// signalGroup sends a signal to the process group of a command.
func signalGroup(pid int, sig syscall.Signal) { _ = syscall.Kill(-pid, sig) }
