package plugin

import "syscall"

// wakeAtHostsEnd lets a plugin that was stopped run again when its host ends: only then can it see that the host is gone. The kernel
// means the thread that started the plugin, see runner.Start.
func wakeAtHostsEnd(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGCONT }
