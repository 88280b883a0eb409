package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// place is one caller in the queue: its request has no answer.
type place struct {
	key    record.Key
	ticket uint64
	since  time.Duration
}

// places are the callers that wait, in the order in which they asked. Whoever has an answer has left.
type places struct {
	waits []place
}

// queues notes a request that may have to wait. At the end of its batch it waits, or it has its answer.
func (w *world) queues(ev *scaler.Event) {
	if ev.Kind == scaler.EvAcquire || ev.Kind == scaler.EvReplace {
		w.waits = append(w.waits, place{ev.Key, ev.Ticket, w.now.Mono})
	}
}

// unqueues notes that the request with this ticket has its answer.
func (w *world) unqueues(ticket uint64) {
	p := &w.places
	if at := slices.IndexFunc(p.waits, func(o place) bool { return o.ticket == ticket }); at >= 0 {
		p.waits = slices.Delete(p.waits, at, at+1)
	}
}

// judgePlace checks what one caller is told of its wait: its place in the queue, and for how long it has waited. It asks after one batch in three:
// what the core remembers of places between two questions must survive callers that come and leave.
func (w *world) judgePlace() {
	all := w.waits
	if len(all) == 0 || w.batchNo%3 != 0 {
		return
	}
	w.cover.judged[oraclePlace]++
	at := int(w.batchNo/3) % len(all)
	p := &all[at]
	v, ok := w.real.Wait(p.key)
	switch {
	case !ok:
		w.fail("place", "%s waits for an answer to ticket %x, and the core does not know it", p.key, p.ticket)
	case v.Position != at+1:
		w.fail("place", "%s is told that it is number %d in the queue; it is number %d of %d", p.key, v.Position, at+1, len(all))
	case v.For != w.lastStep-p.since:
		w.fail("place", "%s is told that it has waited for %v; it has waited for %v", p.key, v.For, w.lastStep-p.since)
	}
}
