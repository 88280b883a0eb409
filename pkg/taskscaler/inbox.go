package taskscaler

import (
	"sync"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// inbox passes events to the loop. Many producers append; the loop takes everything at once. After its slices have grown, a message needs
// no allocation.
type inbox struct {
	mu     sync.Mutex
	mail   mail
	asleep bool // the loop waits for wake
	closed bool
	wake   chan struct{} // 1-buffered
}

// mail is the content of an inbox. waiters[n] is the caller of events[n], or nil.
type mail struct {
	events  []scaler.Event
	waiters []*waiter
	secrets []access
	queries []func(*loop)
	ticked  bool // the loop's timer fired
	doubted bool // the store says that a commit would fail
}

func (m *mail) reset() {
	clear(m.events) // events point to keys, texts and configurations, which the garbage collector can then free
	clear(m.waiters)
	clear(m.secrets)
	clear(m.queries)
	m.events, m.waiters, m.secrets, m.queries = m.events[:0], m.waiters[:0], m.secrets[:0], m.queries[:0]
	m.ticked, m.doubted = false, false
}

func (m *mail) empty() bool {
	return len(m.events) == 0 && len(m.secrets) == 0 && len(m.queries) == 0 && !m.ticked && !m.doubted
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put adds one event. w is its caller, or nil. put returns false if the inbox is closed.
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

// putAll adds events without callers. No other event comes between them.
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

// putSecret adds connect info and the event that belongs to it. ev may be nil.
func (b *inbox) putSecret(s access, ev *scaler.Event) bool {
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

// ask makes the loop's goroutine run f, between two batches or while a commit is retried. It returns false if the inbox is closed.
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

// tick tells the loop that its timer fired.
func (b *inbox) tick() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.mail.ticked = true
	b.done()
}

// doubt makes the loop check the store.
func (b *inbox) doubt() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.mail.doubted = true
	b.done()
}

// done ends a put. It unlocks mu, and wakes the loop if it sleeps.
func (b *inbox) done() {
	asleep := b.asleep
	b.asleep = false
	b.mu.Unlock()
	if !asleep {
		return
	}
	select {
	case b.wake <- struct{}{}:
	default: // the token of an earlier put is still there and wakes the loop
	}
}

// take moves the mail into *m, which must be reset. If there was no mail, some is false, and the next put sends on wake. If the inbox is
// closed, open is false, and no further put succeeds.
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

// takeQueries takes only the queries. The rest of the mail stays.
func (b *inbox) takeQueries() []func(*loop) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.mail.queries
	b.mail.queries = nil
	b.asleep = len(q) == 0 && !b.closed
	return q
}

// rouse records that the loop no longer waits for wake. If a put has already sent a token, the loop wakes up once without mail.
func (b *inbox) rouse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = false
}

// close makes every further put fail, and wakes the loop. The loop can still take the mail that is there.
func (b *inbox) close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	b.done()
}
