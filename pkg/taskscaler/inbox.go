package taskscaler

import (
	"sync"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// inbox is how everybody talks to the loop: many producers append, the loop takes all that waits at once. Nothing is allocated a message
// once the slices have grown.
type inbox struct {
	mu     sync.Mutex
	mail   mail
	asleep bool // the loop waits for wake
	closed bool
	wake   chan struct{} // 1-buffered
}

// mail is what waits. waiters[n] is who asked events[n], or nil.
type mail struct {
	events  []scaler.Event
	waiters []*waiter
	secrets []secret
	queries []func(*loop)
	ticked  bool // the loop's timer fired
}

func (m *mail) reset() {
	clear(m.events) // they point to keys, texts and configurations
	clear(m.waiters)
	clear(m.secrets)
	clear(m.queries)
	m.events, m.waiters, m.secrets, m.queries, m.ticked = m.events[:0], m.waiters[:0], m.secrets[:0], m.queries[:0], false
}

func (m *mail) empty() bool {
	return len(m.events) == 0 && len(m.secrets) == 0 && len(m.queries) == 0 && !m.ticked
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put adds one event; w is answered when the core answers it, or nil. It returns false when the loop takes no more.
func (b *inbox) put(ev *scaler.Event, w *waiter) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.mail.events = append(b.mail.events, *ev)
	b.mail.waiters = append(b.mail.waiters, w)
	b.done()
	return true
}

// putAll adds events that nobody waits for, with nothing between them.
func (b *inbox) putAll(evs []scaler.Event) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	for i := range evs {
		b.mail.events = append(b.mail.events, evs[i])
		b.mail.waiters = append(b.mail.waiters, nil)
	}
	b.done()
	return true
}

// putSecret adds connect info and the event that it goes with, if there is one.
func (b *inbox) putSecret(s secret, ev *scaler.Event) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.mail.secrets = append(b.mail.secrets, s)
	if ev != nil {
		b.mail.events = append(b.mail.events, *ev)
		b.mail.waiters = append(b.mail.waiters, nil)
	}
	b.done()
	return true
}

// ask has f run on the loop's goroutine, between two batches or while a commit is being retried.
func (b *inbox) ask(f func(*loop)) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.mail.queries = append(b.mail.queries, f)
	b.done()
	return true
}

// tick says that the loop's timer fired.
func (b *inbox) tick() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.mail.ticked = true
	b.done()
}

// done ends a put: it unlocks, and wakes the loop if that sleeps.
func (b *inbox) done() {
	asleep := b.asleep
	b.asleep = false
	b.mu.Unlock()
	if !asleep {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default: // an earlier put's token is still there, which wakes the loop as well
	}
}

// take swaps everything that waits for m, which must be reset. When nothing waits (some is false), the next put sends on wake; open is
// false when there will be none.
func (b *inbox) take(m *mail) (some, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mail.empty() {
		b.asleep = !b.closed
		return false, !b.closed
	}
	b.mail, *m = *m, b.mail
	return true, !b.closed
}

// takeQueries is take for queries alone; the rest stays in its place.
func (b *inbox) takeQueries() []func(*loop) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.mail.queries
	b.mail.queries = nil
	b.asleep = len(q) == 0 && !b.closed
	return q
}

// rouse says that the loop no longer waits for wake. A token that a put leaves there all the same wakes the loop once for nothing.
func (b *inbox) rouse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = false
}

// close refuses every further put; what waits can still be taken. It wakes the loop.
func (b *inbox) close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	b.done()
}
