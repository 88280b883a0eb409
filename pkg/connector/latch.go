package connector

import (
	"sync"
	"time"
)

// latch decides whether a command is sent: either it is, or its run is over before, and never both.
type latch struct {
	mu      sync.Mutex
	sent    bool // the command was sent, or is about to be: from now on it may run
	dropped bool // it must not be sent any more: its run has ended, or is about to
}

// mayRun is called before the command is sent. It returns false if the command was cancelled.
func (l *latch) mayRun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = !l.dropped
	return l.sent
}

// holdBack prevents that the command is sent. It returns false if it was sent already.
func (l *latch) holdBack() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sent {
		l.dropped = true
	}
	return !l.sent
}

// closedWithin reports whether c is closed before the limit has passed.
func closedWithin(c <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}
