//go:build unix

package descriptors

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// KeepPrivate marks every descriptor of this process from 3 on as close-on-exec, so that plugins do not get what the process itself inherited: a
// file that a shell or a service manager left open. Go marks what it opens itself.
func KeepPrivate() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd) // one that was closed meanwhile has no effect
		}
	}
	return nil
}
