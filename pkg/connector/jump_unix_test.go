//go:build unix

package connector_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// descendants returns the processes that serve connections of the server.
func (s *server) descendants(t *testing.T) []int {
	t.Helper()
	var all []int
	for next := []int{s.cmd.Process.Pid}; len(next) > 0; next = next[1:] {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", next[0], next[0]))
		if err != nil {
			t.Skipf("this machine does not list the children of a process: %v", err)
		}
		for _, text := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			all, next = append(all, pid), append(next, pid)
		}
	}
	return all
}

// TestSshdJumpHostVanishes: when a jump host dies, or is frozen, under a command, the error names it, and a second contact condemns nobody.
func TestSshdJumpHostVanishes(t *testing.T) {
	s := startBastion(t)
	for name, c := range map[string]struct {
		signal syscall.Signal
		words  string
	}{"killed": {syscall.SIGKILL, "the connection to it was lost"}, "frozen": {syscall.SIGSTOP, connector.ErrKeepalive.Error()}} {
		t.Run(name, func(t *testing.T) {
			bastion := startBastion(t)
			info := s.info
			info.Keepalive = time.Second
			client := dial(t, info, connector.DialOptions{Jump: bastion.jump()})
			result := running(t, t.Context(), client)
			all := append(bastion.descendants(t), bastion.cmd.Process.Pid)
			for _, pid := range all {
				t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
				if err := syscall.Kill(pid, c.signal); err != nil {
					t.Fatal(err)
				}
			}
			err := await(t, result)
			var lost *connector.LostError
			if !errors.As(err, &lost) || !lost.Started {
				t.Fatalf("got %v", err)
			}
			checkWay(t, err, bastion.jump(), c.words)
			found, err := connector.ExamineWithin(t.Context(), time.Second, lost, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
				return connector.Dial(ctx, info, quick(connector.DialOptions{Dial: network, Jump: bastion.jump()}))
			})
			if found != connector.FindingNone {
				t.Errorf("second contact: finding %d: %v", found, err)
			}
		})
	}
}
