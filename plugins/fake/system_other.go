//go:build unix && !linux

package fake

import "syscall"

// commandAttributes gives a command a session of its own. There is no portable way to end it when its instance is killed.
func commandAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// awaitExit returns false: there is no portable way to wait without reaping the process.
func awaitExit(int) bool { return false }

// killMarked does nothing: there is no portable way to read the environment of another process.
func killMarked(string) {}
