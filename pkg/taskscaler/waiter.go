package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// waiter is a caller that waits for the answer to one event. The loop gives it a ticket when it receives the event, and answers exactly
// once.
type waiter struct {
	ready  chan struct{} // 1-buffered: the answer is there
	state  atomic.Uint32 // waiterPending, then one of the other two
	ticket uint64        // owned by the loop; 0: not waiting
	kind   scaler.EventKind
	key    record.Key
	since  time.Duration // on Mono: when the loop received the event
	answer answer        // owned by the caller after it has received from ready
	effect func()        // what the shell does when the event is committed, whether or not the caller still waits; nil: nothing
}

const (
	waiterPending   = iota
	waiterAnswered  // the answer counts
	waiterAbandoned // the caller no longer waits: the loop must release what it granted
)

// answer is the loop's answer to a caller. If err is set, the other fields have no meaning.
type answer struct {
	kind   scaler.GrantKind
	cause  record.Cause
	why    record.Cause // for CauseDeadline and CauseCancelled: what the caller was waiting for
	latest string       // message of the last failed create or preparation, if why is about one
	waited time.Duration
	lease  *Lease
	counts *NoCapacityError
	err    error // the manager stopped
}

// waiterPool keeps waiters for reuse.
type waiterPool struct{ pool sync.Pool }

func (p *waiterPool) get(kind scaler.EventKind, key record.Key) *waiter {
	w, ok := p.pool.Get().(*waiter)
	if !ok {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	w.kind, w.key = kind, key
	w.state.Store(waiterPending)
	return w
}

// put must not receive a waiter that the inbox may still point to, that is a cancelled or an abandoned one.
func (p *waiterPool) put(w *waiter) {
	w.answer, w.key, w.ticket, w.effect = answer{}, "", 0, nil
	p.pool.Put(w)
}

// claim reports whether the caller of w still waits. If so, it waits until send.
func (w *waiter) claim() bool { return w.state.CompareAndSwap(waiterPending, waiterAnswered) }

// send answers w. claim must have returned true.
func (w *waiter) send(a answer) {
	w.answer = a
	w.ready <- struct{}{}
}

// tell answers w if its caller still waits.
func (w *waiter) tell(a answer) {
	if w.claim() {
		w.send(a)
	}
}

// waiters finds a waiter by its ticket. It is owned by the loop.
type waiters struct {
	slots []*waiter
	free  []uint32
	turn  uint32 // makes each ticket of a slot differ from the tickets before it; it wraps around
}

// add gives w a ticket that no other waiter has, and never 0: a ticket has the slot of its waiter.
func (t *waiters) add(w *waiter) uint64 {
	if len(t.free) == 0 {
		t.slots = append(t.slots, nil)
		t.free = append(t.free, uint32(len(t.slots)-1))
	}
	n := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.slots[n] = w
	if t.turn++; t.turn == 0 {
		t.turn++ // 0 with slot 0 means that there is no ticket
	}
	w.ticket = uint64(t.turn)<<32 | uint64(n)
	return w.ticket
}

// take returns and removes the waiter with this ticket, or nil if there is none.
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

// each calls f for every waiter.
func (t *waiters) each(f func(*waiter)) {
	for _, w := range t.slots {
		if w != nil {
			f(w)
		}
	}
}

// errAbandoned means that the caller stopped waiting before the loop answered, because a commit takes too long.
var errAbandoned = errors.New("the context of the call ended while the state could not be committed; check the disk, then repeat the call")

// cancelGrace is how long a call whose context has ended waits for the final answer. The answer comes at once unless commits fail.
const cancelGrace = 2 * time.Second

// call puts ev into the inbox and waits for the answer. The answer always comes: when the loop ends, it answers every caller.
func (t *Taskscaler) call(ctx context.Context, ev *scaler.Event) (answer, error) {
	return t.callWith(ctx, ev, nil)
}

// callWith is call for an event whose commit has an effect in the shell too.
func (t *Taskscaler) callWith(ctx context.Context, ev *scaler.Event, effect func()) (answer, error) {
	w := t.spare.get(ev.Kind, ev.Key)
	w.effect = effect
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

// giveUp cancels a call whose context has ended. An answer may be under way at the same time, and must not be lost.
func (t *Taskscaler) giveUp(ctx context.Context, w *waiter) (answer, error) {
	t.inbox.put(&scaler.Event{Kind: scaler.EvCancel, Key: w.key}, w)
	grace := time.NewTimer(cancelGrace)
	defer grace.Stop()
	select {
	case <-w.ready:
		return w.answer, w.answer.err
	case <-grace.C:
	}
	if w.state.CompareAndSwap(waiterPending, waiterAbandoned) {
		return answer{}, fmt.Errorf("%w: %w", errAbandoned, context.Cause(ctx)) // the loop releases what it grants later
	}
	<-w.ready
	return w.answer, w.answer.err
}
