package taskscaler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// waiter is a caller who waits for the answer to one event. The loop gives it a ticket when it takes the event in, and answers exactly once.
type waiter struct {
	ready  chan struct{} // 1-buffered: answered
	state  atomic.Uint32 // waiterOpen, then one of the other two
	ticket uint64        // the loop's; 0: not waiting
	kind   scaler.EventKind
	key    record.Key
	since  time.Duration // on Mono: when the loop took it in
	answer answer        // the caller's once ready was sent
}

const (
	waiterOpen      = iota
	waiterAnswered  // the answer counts
	waiterAbandoned // the caller has gone: what the answer brings must be given back
)

// answer is what a caller is told. With err nothing else counts.
type answer struct {
	kind   scaler.GrantKind
	cause  record.Cause
	why    record.Cause // with CauseDeadline: what was waited for
	latest string       // what the last failed create or preparation said, if why is about that
	waited time.Duration
	lease  *Lease
	counts *NoCapacityError
	err    error // the manager stopped
}

// waiterPool has waiters to use again.
type waiterPool struct{ pool sync.Pool }

func (p *waiterPool) get(kind scaler.EventKind, key record.Key) *waiter {
	w, ok := p.pool.Get().(*waiter)
	if !ok {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	w.kind, w.key = kind, key
	w.state.Store(waiterOpen)
	return w
}

// put must not be given a waiter that the inbox may still point to: one that was cancelled, or abandoned.
func (p *waiterPool) put(w *waiter) {
	w.answer, w.key, w.ticket = answer{}, "", 0
	p.pool.Put(w)
}

// tell answers w, and reports whether its caller is still there.
func (w *waiter) tell(a answer) bool {
	w.answer = a
	if !w.state.CompareAndSwap(waiterOpen, waiterAnswered) {
		return false
	}
	w.ready <- struct{}{}
	return true
}

// waiters finds who holds a ticket. It belongs to the loop.
type waiters struct {
	slots []*waiter
	free  []uint32
	turn  uint64 // makes each ticket different from all before it
}

// add gives w a ticket, never 0.
func (t *waiters) add(w *waiter) uint64 {
	if len(t.free) == 0 {
		t.slots = append(t.slots, nil)
		t.free = append(t.free, uint32(len(t.slots)-1))
	}
	n := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.slots[n] = w
	t.turn++
	w.ticket = t.turn<<32 | uint64(n)
	return w.ticket
}

// take finds who holds ticket and forgets it; nil: nobody.
func (t *waiters) take(ticket uint64) *waiter {
	n := uint32(ticket)
	if ticket == 0 || int(n) >= len(t.slots) {
		return nil
	}
	w := t.slots[n]
	if w == nil || w.ticket != ticket {
		return nil
	}
	t.slots[n], w.ticket = nil, 0
	t.free = append(t.free, n)
	return w
}

// each calls f for everyone who waits.
func (t *waiters) each(f func(*waiter)) {
	for _, w := range t.slots {
		if w != nil {
			f(w)
		}
	}
}

// errAbandoned is a call whose answer nobody waits for any more.
var errAbandoned = errors.New("the state cannot be committed at this moment; the call was given up")

// cancelGrace is how long a caller whose context has ended waits for the definite answer. It comes at once, except while commits fail.
const cancelGrace = 2 * time.Second

// call puts ev and waits for its answer, which always comes: at its end the loop answers everybody.
func (t *Taskscaler) call(ctx context.Context, ev *scaler.Event) (answer, error) {
	w := t.spare.get(ev.Kind, ev.Key)
	if !t.inbox.put(ev, w) {
		return answer{}, t.stopped()
	}
	if ended := ctx.Done(); ended != nil {
		select {
		case <-w.ready:
		case <-ended:
			return t.giveUp(ctx, w)
		}
	} else {
		<-w.ready // cheaper than a select
	}
	a := w.answer
	t.spare.put(w)
	return a, a.err
}

// giveUp ends a call whose context has ended: the answer may be on its way, and must not be lost.
func (t *Taskscaler) giveUp(ctx context.Context, w *waiter) (answer, error) {
	t.inbox.put(&scaler.Event{Kind: scaler.EvCancel, Key: w.key}, w)
	grace := time.NewTimer(cancelGrace)
	defer grace.Stop()
	select {
	case <-w.ready:
		return w.answer, w.answer.err
	case <-grace.C:
	}
	if w.state.CompareAndSwap(waiterOpen, waiterAbandoned) {
		return answer{}, errAbandoned // the loop gives back what it would have brought
	}
	<-w.ready
	return w.answer, w.answer.err
}
