package control

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestManagerThatDoesNotAnswer: a request that is not a wait ends although the manager accepts the connection and then says nothing. The error
// names the socket and says what to do. A wait ends too, because there is no sign of life.
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
	c.limit, c.alive = 20*time.Millisecond, 30*time.Millisecond
	for name, ask := range map[string]func(ctx context.Context) error{
		"Info":    func(ctx context.Context) error { _, err := c.Info(ctx); return err },
		"Status":  func(ctx context.Context) error { _, err := c.Status(ctx, ""); return err },
		"Undrain": func(ctx context.Context) error { return c.Undrain(ctx, "") },
		"Release": func(ctx context.Context) error { return c.Release(ctx, ReleaseRequest{Key: "k"}) },
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
	for name, ask := range map[string]func(ctx context.Context) error{
		"Drain": func(ctx context.Context) error { return c.Drain(ctx, "") },
		"Lease": func(ctx context.Context) error { _, err := c.Lease(ctx, LeaseRequest{Key: "k"}); return err },
	} {
		var away *AwayError
		err := ask(t.Context())
		if !errors.As(err, &away) || away.Gone() || !strings.Contains(err.Error(), "/run/a.sock does not answer: no sign of life within 30ms") {
			t.Errorf("%s = %v", name, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ask(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s of a caller that has left = %v", name, err)
		}
	}
}

// TestManagerThatFallsSilent: a stream on which nothing comes any more ends, after any number of signs of life before.
func TestManagerThatFallsSilent(t *testing.T) {
	c := NewClientWithDialer("/run/a.sock", func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		go func() {
			_, _ = theirs.Read(make([]byte, 1024))
			_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\n\r\n")
			for range 5 {
				_, _ = io.WriteString(theirs, "{\"alive\":true}\n")
			}
			_, _ = io.WriteString(theirs, "{\"released\":true}\n")
		}()
		return ours, nil
	})
	c.alive = 200 * time.Millisecond
	s, err := c.Lease(t.Context(), LeaseRequest{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if ev, err := s.Next(); err != nil || !ev.Released {
		t.Fatalf("first event %+v, %v", ev, err)
	}
	var away *AwayError
	if ev, err := s.Next(); !errors.As(err, &away) || away.Gone() || !strings.Contains(err.Error(), "no sign of life within 200ms") {
		t.Errorf("then %+v, %v", ev, err)
	}
}

// TestBounds: what a client takes for a hang is several signs of life late.
func TestBounds(t *testing.T) {
	if aliveWithin < 4*aliveEvery {
		t.Errorf("a sign of life every %s, and a client gives up after %s", aliveEvery, aliveWithin)
	}
}
