package control

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestFullQueueOfASocket: a manager that is stopped does not take connections out of its queue. A full queue is waited for, not reported.
func TestFullQueueOfASocket(t *testing.T) {
	tries := 0
	conn, err := patient(t.Context(), func() (int, error) {
		if tries++; tries < 3 {
			return 0, &net.OpError{Op: "dial", Err: syscall.EAGAIN}
		}
		return 7, nil
	})
	if conn != 7 || err != nil || tries != 3 {
		t.Errorf("%d, %v after %d tries", conn, err, tries)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patient(ctx, func() (int, error) { return 0, syscall.EAGAIN }); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has left: %v", err)
	}
}
