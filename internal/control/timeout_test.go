package control

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// TestManagerThatDoesNotAnswer: a request that is not a wait ends although the manager accepts the connection and then says nothing. The error
// names the socket and says what to do. A wait goes on until its context ends.
func TestManagerThatDoesNotAnswer(t *testing.T) {
	c := NewClientWithDialer("/run/a.sock", func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		go func() { // reads the request and never answers
			buf := make([]byte, 1024)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		return ours, nil
	})
	c.limit = 20 * time.Millisecond
	for name, ask := range map[string]func(ctx context.Context) error{
		"Info":    func(ctx context.Context) error { _, err := c.Info(ctx); return err },
		"Status":  func(ctx context.Context) error { _, err := c.Status(ctx, ""); return err },
		"Undrain": func(ctx context.Context) error { return c.Undrain(ctx, "") },
		"Reserve": func(ctx context.Context) error { return c.Reserve(ctx, ReserveRequest{Key: "k"}) },
	} {
		var away *AwayError
		err := ask(t.Context())
		if !errors.As(err, &away) || away.Gone() || !strings.Contains(err.Error(), "/run/a.sock does not answer: no answer within 20ms") ||
			!strings.Contains(err.Error(), "check the manager's log") {
			t.Errorf("%s = %v", name, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s of a caller that has left = %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Drain(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v", err)
	}
}
