package plugin

import (
	"io"
	"os"
	"strconv"
	"time"
)

const hostPoll = 500 * time.Millisecond

// watchHost returns a channel that receives once the host process is gone. It looks at two signs: the pipe of which only the host
// holds the other end (immediate), and the parent's process id (for a host that could hand over no pipe).
func watchHost() <-chan struct{} {
	gone := make(chan struct{}, 2)
	if fd, err := strconv.Atoi(os.Getenv(envLifeline)); err == nil && fd > 2 {
		closeOnExec(fd)
		go func() {
			pipe := os.NewFile(uintptr(fd), "host")
			_, _ = io.Copy(io.Discard, pipe)
			gone <- struct{}{}
		}()
	}
	if host, err := strconv.Atoi(os.Getenv(envHostPID)); err == nil {
		go func() {
			for os.Getppid() == host {
				time.Sleep(hostPoll)
			}
			gone <- struct{}{}
		}()
	}
	return gone
}
