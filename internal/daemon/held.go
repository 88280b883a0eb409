package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// everyLook is the time between two looks whether a drain has ended.
const everyLook = 500 * time.Millisecond

// held is the clients of a runner that wait for the end of its drain. One goroutine looks for all of them.
type held struct {
	mu      sync.Mutex
	clients int
	open    chan struct{} // closed when the wait is over; nil: nobody looks
	err     error         // why it is over; nil: the runner takes new work again
}

// count returns how many clients wait.
func (h *held) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients
}

// wait returns nil when scaler takes new work again, or an error if it stops or ctx ends first.
func (h *held) wait(ctx context.Context, scaler *taskscaler.Taskscaler) error {
	h.mu.Lock()
	h.clients++
	if h.open == nil {
		h.open = make(chan struct{})
		go h.look(scaler)
	}
	open := h.open
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.clients--
		h.mu.Unlock()
	}()
	select {
	case <-open:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look ends the wait of all clients when the drain has ended. It returns when nobody waits.
func (h *held) look(scaler *taskscaler.Taskscaler) {
	tick := time.NewTicker(everyLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-scaler.Done():
		}
		status, err := scaler.Status(context.Background())
		h.mu.Lock()
		if over := err != nil || !status.Draining; over || h.clients == 0 {
			h.err = err
			close(h.open)
			h.open = nil
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
}
