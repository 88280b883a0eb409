package cloudmodel

import "time"

// timer is an entry of the heap: a machine and the time of its next change.
type timer struct {
	at     time.Duration
	number uint64
	slot   int32
}

func (t timer) before(u timer) bool { return t.at < u.at || t.at == u.at && t.number < u.number }

// schedule updates the machine's place in the heap for its next change, or removes it. The heap is binary and each machine knows its place,
// so a change costs O(log n). (container/heap would allocate for each entry.)
func (c *Cloud) schedule(slot int32) {
	m := &c.machine[slot]
	at := m.change()
	if m.seen == none {
		at = Never
	}
	i := m.heapAt
	switch {
	case at == Never && i == nowhere:
	case at == Never:
		c.unschedule(int(i))
	case i == nowhere:
		c.heap = append(c.heap, timer{})
		c.up(len(c.heap)-1, timer{at, m.number, slot})
	default:
		c.fix(int(i), timer{at, m.number, slot})
	}
}

func (c *Cloud) unschedule(i int) {
	c.machine[c.heap[i].slot].heapAt = nowhere
	end := len(c.heap) - 1
	moved := c.heap[end]
	c.heap = c.heap[:end]
	if i < end {
		c.fix(i, moved)
	}
}

// fix puts t at the free place i, or above or below it where it belongs.
func (c *Cloud) fix(i int, t timer) {
	if i > 0 && t.before(c.heap[(i-1)/2]) {
		c.up(i, t)
		return
	}
	c.down(i, t)
}

func (c *Cloud) up(i int, t timer) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(c.heap[parent]) {
			break
		}
		c.place(i, c.heap[parent])
		i = parent
	}
	c.place(i, t)
}

func (c *Cloud) down(i int, t timer) {
	for {
		child := 2*i + 1
		if child >= len(c.heap) {
			break
		}
		if child+1 < len(c.heap) && c.heap[child+1].before(c.heap[child]) {
			child++
		}
		if !c.heap[child].before(t) {
			break
		}
		c.place(i, c.heap[child])
		i = child
	}
	c.place(i, t)
}

func (c *Cloud) place(i int, t timer) {
	c.heap[i] = t
	c.machine[t.slot].heapAt = int32(i)
}
