package plugin

import (
	"io"
	"os"
	"strconv"
	"time"
)

const hostPoll = 500 * time.Millisecond

// watchHost returns a channel that receives a value when the host process is gone. It watches two things: a pipe whose other end only the
// host holds, and the process id of the parent, for hosts that cannot pass a pipe.
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
