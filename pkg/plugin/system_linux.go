package plugin

import "syscall"

// wakeAtHostsEnd continues a stopped plugin when its host ends, so that the plugin can notice that. For the kernel, the host is the thread
// that started the plugin: see runner.Start.
func wakeAtHostsEnd(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGCONT }
