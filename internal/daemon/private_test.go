package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

func TestMemoryListener(t *testing.T) {
	l := newMemoryListener()
	s := control.NewServer(controltest.New(1), 0, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c := control.NewClientWithDialer("memory", l.dial)
	stream, err := c.Lease(t.Context(), control.LeaseRequest{Key: "k", Mode: control.ModeAcquire, Holder: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if ev, err := stream.Next(); err != nil || ev.Lease == nil {
		t.Fatalf("%+v, %v", ev, err)
	}
	if err := c.Release(t.Context(), control.ReleaseRequest{Key: "k"}); err != nil {
		t.Error(err)
	}
	_ = stream.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := l.dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if l.Addr().String() == "" || l.Close() != nil {
		t.Error("a second Close fails, or there is no address")
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newMemoryListener().dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestErrorCodes(t *testing.T) {
	for want, err := range map[control.Code]error{
		control.CodeShutdown: taskscaler.ErrShutdown, control.CodeDraining: taskscaler.ErrDraining, control.CodeUnknownKey: taskscaler.ErrUnknownKey,
		control.CodeDuplicateKey: taskscaler.ErrDuplicateKey, control.CodeNoCapacity: &taskscaler.NoCapacityError{},
		control.CodeTimeout: context.DeadlineExceeded, control.CodeUndrained: taskscaler.ErrUndrained,
		control.CodeInternal: errors.New("something else"),
	} {
		got := apiError(fmt.Errorf("with more words: %w", err))
		if !errors.Is(got, &control.APIError{Code: want}) || got.Error() != "with more words: "+err.Error() {
			t.Errorf("%s: %v", want, got)
		}
	}
	// A manager that stops itself is like one that shuts down: its leases are in the store.
	stop := &taskscaler.StopError{Reason: "the state cannot be committed", Err: context.DeadlineExceeded}
	if got := apiError(stop); !errors.Is(got, &control.APIError{Code: control.CodeShutdown}) {
		t.Errorf("a manager that stopped itself: %v", got)
	}
	if apiError(nil) != nil {
		t.Error("nil became an error")
	}
}
