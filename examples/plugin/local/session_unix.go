//go:build unix

package local

import (
	"os/exec"
	"syscall"
)

// ownSession lets the process outlive the plugin, whose process group is killed when it ends.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
