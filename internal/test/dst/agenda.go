package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// itemKind says what an item of the agenda is.
type itemKind uint8

const (
	itemReply      itemKind = iota + 1 // the result of a command, in ev
	itemListAsk                        // the observer asks for a list
	itemListAnswer                     // the list arrives
	itemWake                           // the wake-up that the core asked for, or the shell's recheck
	itemJob                            // job n does act
	itemArrival                        // the next job arrives
	itemPoller                         // poller n reserves, or cancels its reservation
	itemConnect                        // the connect info of job n's lease cannot be had
	itemRise                           // machine n exists again
	itemHeal                           // something that was wrong ends: act
	itemPatience                       // a shutdown stops waiting for jobs
	itemEnd                            // a shutdown stops waiting for deletes
)

// item is one thing that will happen at a time.
type item struct {
	at   time.Duration
	seq  uint64
	n    int32
	ev   int32 // index into agenda.events; −1: none
	life uint32
	kind itemKind
	act  uint8
}

// agenda is the queue of items, in the order of (time, sequence).
type agenda struct {
	heap   []item
	seq    uint64
	events []scaler.Event // events of replies, by item.ev
	free   []int32
}

func (a *agenda) reset() {
	a.heap, a.events, a.free, a.seq = a.heap[:0], a.events[:0], a.free[:0], 0
}

func (a *agenda) before(i, j int) bool {
	x, y := &a.heap[i], &a.heap[j]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}

func (a *agenda) add(it item) {
	a.seq++
	it.seq = a.seq
	a.heap = append(a.heap, it)
	for i := len(a.heap) - 1; i > 0; {
		p := (i - 1) / 2
		if !a.before(i, p) {
			return
		}
		a.heap[i], a.heap[p] = a.heap[p], a.heap[i]
		i = p
	}
}

func (a *agenda) pop() item {
	top := a.heap[0]
	last := len(a.heap) - 1
	a.heap[0] = a.heap[last]
	a.heap = a.heap[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return top
		}
		if c+1 < last && a.before(c+1, c) {
			c++
		}
		if !a.before(c, i) {
			return top
		}
		a.heap[i], a.heap[c] = a.heap[c], a.heap[i]
		i = c
	}
}

// keep stores a reply's event and returns its index.
func (a *agenda) keep(ev *scaler.Event) int32 {
	if n := len(a.free); n > 0 {
		i := a.free[n-1]
		a.free = a.free[:n-1]
		a.events[i] = *ev
		return i
	}
	a.events = append(a.events, *ev)
	return int32(len(a.events) - 1)
}

// take returns a reply's event and frees its index.
func (a *agenda) take(i int32) scaler.Event {
	a.free = append(a.free, i)
	return a.events[i]
}
