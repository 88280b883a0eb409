package cloudmodel

import "time"

// EventKind says what happened to an instance without a request at that moment.
type EventKind uint8

// The kinds. After the last three the instance is gone.
const (
	BecameRunning EventKind = iota + 1
	BootFailed              // the provider gave up on it
	ReclaimBegan            // its reclaim was announced; it is gone after the notice
	WasReclaimed
	Died       // it vanished, although it was neither deleted nor reclaimed
	WasDeleted // a requested deletion is done
)

var eventNames = [...]string{"none", "running", "boot_failed", "reclaim_began", "reclaimed", "died", "deleted"}

// String returns the kind's name.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "invalid"
}

// Gone reports whether the instance no longer exists.
func (k EventKind) Gone() bool { return k >= WasReclaimed }

// Event is one change of one instance.
type Event struct {
	At     time.Duration
	Number uint64
	Kind   EventKind
}

// Next returns the time of the next event. Events that happened but were not returned by Advance yet are due now. ok is false when no event
// will happen without a call.
func (c *Cloud) Next() (at time.Duration, ok bool) {
	switch {
	case len(c.pending) > 0:
		return c.now, true
	case len(c.heap) > 0:
		return max(c.heap[0].at, c.now), true
	}
	return 0, false
}

// Advance moves the model to now. It appends to events what happened since the last call, in ascending order of time and number. It costs
// O(log n) per event.
func (c *Cloud) Advance(now time.Duration, events []Event) []Event {
	c.settle(now)
	events = append(events, c.pending...)
	c.pending = c.pending[:0]
	return events
}

// settle lets everything happen that is due at now.
func (c *Cloud) settle(now time.Duration) {
	c.now = max(c.now, now)
	for len(c.heap) > 0 && c.heap[0].at <= c.now {
		c.happen(c.heap[0].slot)
	}
	c.forget()
}

// happen performs the machine's next change.
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

// end returns the kind of the event that ended the machine.
func (m *machine) end() EventKind {
	switch {
	case m.asked:
		return WasDeleted
	case m.reclaim:
		return WasReclaimed
	}
	return Died
}

// deadQueue holds slots in the order in which their machines ended.
type deadQueue struct {
	slots []int32
	head  int
}

// bury drops a machine that is gone, at once or when no list shows it any more.
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
