package cloudmodel

import "time"

// EventKind says what happened to an instance without anybody asking in that moment.
type EventKind uint8

// The kinds of event. The last three mean that the instance is gone.
const (
	BecameRunning EventKind = iota + 1
	BootFailed              // the provider gave up on it
	ReclaimBegan            // it is being reclaimed, and goes after the notice
	WasReclaimed
	Died       // it went without our asking and without being reclaimed
	WasDeleted // a delete that was asked for is done
)

var eventNames = [...]string{"none", "running", "boot_failed", "reclaim_began", "reclaimed", "died", "deleted"}

// String is the kind's name.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "invalid"
}

// Gone reports whether the instance no longer exists.
func (k EventKind) Gone() bool { return k >= WasReclaimed }

// Event is one difference.
type Event struct {
	At     time.Duration
	Number uint64
	Kind   EventKind
}

// Next is when the next event happens. Events that already happened and were not taken yet are due at the latest time that the model
// was given; ok is false when nothing will ever happen by itself.
func (c *Cloud) Next() (at time.Duration, ok bool) {
	switch {
	case len(c.pending) > 0:
		return c.now, true
	case len(c.heap) > 0:
		return max(c.heap[0].at, c.now), true
	}
	return 0, false
}

// Advance moves the model to now and appends to events what happened since the last call, in the order of (time, number). It costs
// O(log n) an event.
func (c *Cloud) Advance(now time.Duration, events []Event) []Event {
	c.settle(now)
	events = append(events, c.pending...)
	c.pending = c.pending[:0]
	return events
}

// settle makes everything happen that is due at now.
func (c *Cloud) settle(now time.Duration) {
	c.now = max(c.now, now)
	for len(c.heap) > 0 && c.heap[0].at <= c.now {
		c.happen(c.heap[0].slot)
	}
	c.forget()
}

// happen carries out the machine's next change.
func (c *Cloud) happen(slot int32) {
	m := &c.machine[slot]
	at := m.change()
	e := Event{At: at, Number: m.number}
	m.seen = m.at(at)
	switch m.seen {
	case Running:
		e.Kind = BecameRunning
	case Failed:
		e.Kind = BootFailed
	case Deleting:
		e.Kind = ReclaimBegan
	default:
		e.Kind = m.end()
	}
	c.pending = append(c.pending, e)
	c.schedule(slot)
	if m.seen == none {
		c.alive--
		c.bury(slot)
	}
}

// end is the kind of a machine's end.
func (m *machine) end() EventKind {
	switch {
	case m.asked:
		return WasDeleted
	case m.reclaim:
		return WasReclaimed
	}
	return Died
}

// deadQueue holds slots in the order of their end.
type deadQueue struct {
	slots []int32
	head  int
}

// bury forgets a machine that is gone, at once or when the last list that shows it has passed.
func (c *Cloud) bury(slot int32) {
	if c.cfg.List.Lag.IsZero() {
		c.drop(slot)
		return
	}
	c.dead.slots = append(c.dead.slots, slot)
}

func (c *Cloud) forget() {
	q := &c.dead
	for q.head < len(q.slots) && c.machine[q.slots[q.head]].gone <= c.now-c.cfg.List.Lag.Value() {
		c.drop(q.slots[q.head])
		q.head++
	}
	if q.head > 64 && q.head*2 > len(q.slots) {
		q.slots = q.slots[:copy(q.slots, q.slots[q.head:])]
		q.head = 0
	}
}
