package cloudmodel

import "time"

const nowhere int32 = -1

// machine is one instance. Its state at any time is computed from its times, so a list that lags needs no history.
type machine struct {
	number   uint64
	created  time.Duration
	running  time.Duration // Never: its boot fails
	failed   time.Duration // when the provider gives up on it
	deleting time.Duration // when its deletion is requested or its reclaim announced
	gone     time.Duration
	delete   time.Duration // duration of a deletion
	seen     State         // the state after the last event
	asked    bool          // a deletion was requested
	reclaim  bool          // it ends by a reclaim, unless it is deleted
	heapAt   int32         // place in the heap, or nowhere
	prev     int32         // neighbours in the list by number
	next     int32
}

// at returns the state at time t.
func (m *machine) at(t time.Duration) State {
	switch {
	case t < m.created || t >= m.gone:
		return none
	case t >= m.deleting:
		return Deleting
	case t >= m.failed:
		return Failed
	case t >= m.running:
		return Running
	}
	return Creating
}

// change returns when the state first differs from seen; Never when it does not.
func (m *machine) change() time.Duration {
	switch m.seen {
	case Creating:
		return min(m.running, m.failed, m.deleting, m.gone)
	case Running, Failed:
		return min(m.deleting, m.gone)
	}
	return m.gone
}

// add adds a machine that was created at the given time, with fate f.
func (c *Cloud) add(n uint64, created time.Duration, f Fate) int32 {
	slot := c.free
	if slot != nowhere {
		c.free = c.machine[slot].next
	} else {
		slot = int32(len(c.machine))
		c.machine = append(c.machine, machine{})
	}
	m := &c.machine[slot]
	*m = machine{number: n, created: created, failed: sum(created, f.Timeout), running: sum(created, f.Boot),
		deleting: Never, gone: sum(created, f.Vanish), delete: f.Delete, seen: Creating, heapAt: nowhere, reclaim: f.Reclaim}
	if f.Life != Never {
		m.deleting = sum(m.running, f.Life)
		m.gone = sum(m.deleting, f.Notice)
	}
	c.index[n] = slot
	c.link(slot)
	c.alive++
	c.schedule(slot)
	return slot
}

// link inserts slot into the list by number. Only for a restored machine it has to search, because a new one has the highest number.
func (c *Cloud) link(slot int32) {
	m := &c.machine[slot]
	after := c.last
	for after != nowhere && c.machine[after].number > m.number {
		after = c.machine[after].prev
	}
	m.prev, m.next = after, c.first
	if after != nowhere {
		m.next = c.machine[after].next
		c.machine[after].next = slot
	} else {
		c.first = slot
	}
	if m.next != nowhere {
		c.machine[m.next].prev = slot
	} else {
		c.last = slot
	}
}

// drop removes a machine from the model.
func (c *Cloud) drop(slot int32) {
	m := &c.machine[slot]
	if m.prev != nowhere {
		c.machine[m.prev].next = m.next
	} else {
		c.first = m.next
	}
	if m.next != nowhere {
		c.machine[m.next].prev = m.prev
	} else {
		c.last = m.prev
	}
	delete(c.index, m.number)
	*m = machine{next: c.free}
	c.free = slot
}

// find returns the slot of a machine that exists.
func (c *Cloud) find(n uint64) (int32, bool) {
	slot, ok := c.index[n]
	return slot, ok && c.machine[slot].seen != none
}

func (c *Cloud) askDelete(slot int32, at time.Duration) {
	m := &c.machine[slot]
	if m.asked {
		return
	}
	m.asked = true
	m.deleting = min(m.deleting, at)
	m.gone = min(m.gone, sum(at, m.delete))
	m.seen = Deleting
	c.schedule(slot)
}

// Restore adds an instance of an earlier cloud: created at the given time, with the fate that it had there, and with a deletion requested
// at deleteAsked unless that is Never. What should have happened to it by now happens at the next Advance. If the instance exists already,
// only the request is applied.
func (c *Cloud) Restore(n uint64, created, deleteAsked time.Duration, f Fate) {
	slot, known := c.find(n)
	if !known {
		if _, dead := c.index[n]; dead {
			return
		}
		slot = c.add(n, created, f)
		c.count.Instances = max(c.count.Instances, n)
	}
	if deleteAsked != Never {
		c.askDelete(slot, deleteAsked)
	}
}

// Kill removes instance number n now, for a reason outside the model. It causes an event, and reports whether the instance existed.
func (c *Cloud) Kill(now time.Duration, n uint64) bool {
	c.settle(now)
	slot, known := c.find(n)
	if !known {
		return false
	}
	m := &c.machine[slot]
	m.gone, m.reclaim = c.now, false
	c.schedule(slot)
	c.settle(c.now)
	return true
}
