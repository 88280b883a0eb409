//go:build unix && !linux

package fake

import "syscall"

// commandAttributes give a command a session of its own. There is no portable way to end it with an instance that was killed.
func commandAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// awaitExit cannot wait without collecting the process.
func awaitExit(int) bool { return false }

// killMarked does nothing: other processes' environments cannot be read here.
func killMarked(string) {}
