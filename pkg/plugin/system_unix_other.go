//go:build unix && !linux

package plugin

import "syscall"

// wakeAtHostsEnd does nothing: when the host ends, the kernel continues or ends the stopped processes of the orphaned process group.
func wakeAtHostsEnd(*syscall.SysProcAttr) {}

// noExec reports nothing: the start of the program shows it.
func noExec(string) bool { return false }
