package plugin

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// wakeAtHostsEnd continues a stopped plugin when its host ends, so that the plugin can notice that. For the kernel, the host is the thread
// that started the plugin: see runner.Start.
func wakeAtHostsEnd(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGCONT }

// noExec reports whether the file system of dir does not allow the execution of its files.
func noExec(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0
}
