//go:build unix && !linux

package plugin

import "syscall"

// wakeAtHostsEnd does nothing: the kernel wakes or ends the stopped members of a process group that lost its last parent.
func wakeAtHostsEnd(*syscall.SysProcAttr) {}
