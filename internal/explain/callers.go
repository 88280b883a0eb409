package explain

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// caller is the state of a key: it waits, holds a lease, or has a reservation.
type caller struct {
	asked    time.Time // when it began to wait
	mono     time.Duration
	reserved time.Time
	leased   time.Time // when its lease was granted
	instance record.ID
}

// beats counts the heartbeats of an instance that failed in a row.
type beats struct{ failed int }

// hear processes one event of the round, before the decisions of its step.
func (h *History) hear(ev *scaler.Event) {
	switch ev.Kind {
	case scaler.EvAcquire, scaler.EvReplace:
		h.asked(ev)
	case scaler.EvUnreserve:
		if c := h.callers[ev.Key]; c != nil && !c.reserved.IsZero() {
			delete(h.callers, ev.Key)
		}
	case scaler.EvAppeared, scaler.EvChanged:
		if len(h.absent) > 0 {
			delete(h.absent, ev.ID)
		}
	case scaler.EvMissing:
		h.absent[ev.ID] = h.at
	case scaler.EvListed:
		h.listFail = nil
	case scaler.EvListFailed:
		h.listFailed(ev)
	case scaler.EvIncreased:
		if c := h.creations[ev.Op]; c != nil && !ev.Failure.Failed() {
			h.then(c.record, h.said(ev))
		}
	case scaler.EvDeleted:
		h.answered(ev)
	case scaler.EvBeat:
		h.beat(ev)
	case scaler.EvDrain, scaler.EvShutdown:
		h.note(KindOperator, "", h.said(ev))
	}
	if h.life != nil {
		h.life.event(h, ev)
	}
	if h.key != nil && ev.Key == h.opts.Key {
		h.key.event(h, ev)
	}
}

// asked notes a caller that asks for a slot. A caller that already has a lease or waits is not noted: the core refuses it.
func (h *History) asked(ev *scaler.Event) {
	c := h.callers[ev.Key]
	switch {
	case c == nil || !c.reserved.IsZero():
		h.callers[ev.Key] = &caller{asked: h.at, mono: h.now.Mono}
	case ev.Kind == scaler.EvReplace:
		c.asked, c.mono = h.at, h.now.Mono
	}
}

func (h *History) beat(ev *scaler.Event) {
	b := h.beats[ev.ID]
	switch {
	case !ev.Failure.Failed():
		if b != nil {
			delete(h.beats, ev.ID)
		}
	case ev.Away:
	case b == nil:
		h.beats[ev.ID] = &beats{failed: 1}
	default:
		b.failed++
	}
}

// answers processes the answers that callers got in this round.
func (h *History) answers() {
	for i := range h.batch.Grants {
		g := &h.batch.Grants[i]
		if h.key != nil && g.Key == h.opts.Key {
			h.key.grant(h, g)
		}
		if h.life != nil && g.ID == h.opts.Instance {
			h.life.grant(h, g)
		}
		switch g.Kind {
		case scaler.GrantLease, scaler.GrantReattached:
			c := h.callers[g.Key]
			if c == nil {
				c = &caller{}
				h.callers[g.Key] = c
			}
			if g.Kind == scaler.GrantLease || c.leased.IsZero() {
				c.leased, c.instance = h.at, g.ID
			}
			c.asked = time.Time{}
		case scaler.GrantReserved:
			h.callers[g.Key] = &caller{reserved: h.at}
		case scaler.GrantReleased, scaler.GrantRevoked:
			h.ended(g.ID, g.Key)
			if c := h.callers[g.Key]; c != nil && c.asked.IsZero() { // otherwise it is waiting again
				delete(h.callers, g.Key)
			}
		case scaler.GrantDenied:
			if g.Cause == record.CauseNoCapacity || g.Cause == record.CausePolicy {
				h.denied(g.Key, g.Cause, nil)
			}
		}
	}
}

// revoked records that the manager ended a lease before its holder released it.
func (h *History) revoked(f *scaler.Fact) {
	r := &Record{
		Kind: KindRevoke, Instance: string(f.ID), Key: string(f.Key), Sizing: sizingOf(&h.sum.Decision, h.burst()),
		Sentence: fmt.Sprintf("revoked the lease of %q on instance %s: %s", f.Key, f.ID, observe.Revoked(f)),
	}
	because := []string{h.whyRevoked(f)}
	if c := h.callers[f.Key]; c != nil && !c.leased.IsZero() {
		because = append([]string{fmt.Sprintf("%q held it since %s", f.Key, h.clock(c.leased))}, because...)
	}
	h.decided(r, f, because...)
}

func (h *History) whyRevoked(f *scaler.Fact) string {
	cfg := h.core.Config()
	switch f.Cause {
	case record.CauseMissing:
		if since, ok := h.absent[f.ID]; ok {
			return fmt.Sprintf("neither the provider's list at %s nor the lists after it contained the instance", h.clock(since))
		}
	case record.CauseAbandoned:
		return fmt.Sprintf("no caller reattached to the lease within reattach_after_disconnect (%s) or, after a restart, reattach_after_restart (%s)",
			words.Span(cfg.ReattachAfterDisconnect), words.Span(cfg.ReattachAfterRestart))
	}
	return h.trigger(f)
}

// denied records that a caller was refused. f is the fact about it, or nil when there is only the answer to the caller. Consecutive refusals
// for the same reason and with the same numbers become one record, because pollers ask every few seconds.
func (h *History) denied(key record.Key, why record.Cause, f *scaler.Fact) {
	c := h.callers[key]
	sentence := h.denial(key, why, c)
	if h.key != nil && key == h.opts.Key {
		h.key.add(h.at, sentence)
	}
	switch {
	case c == nil, why == record.CauseDuplicate, why == record.CauseUnknownKey: // the earlier wait or lease of the key goes on
	case !c.leased.IsZero():
		c.asked = time.Time{}
	default:
		delete(h.callers, key)
	}
	same := ""
	if f == nil {
		d := &h.sum.Decision
		same = fmt.Sprint(why, d.Needed, d.Supply, h.sum.OpenSlots, h.sum.Reservations)
	}
	if r := h.latest(); same != "" && r != nil && r.Kind == KindDeny && r.same == same {
		r.Count++
		r.until = h.at
		r.Outcome = fmt.Sprintf("refused %d times for the same reason until %s", r.Count, clock(h.at, r.Time))
		return
	}
	h.decided(&Record{
		Kind: KindDeny, Key: string(key), Cause: why.String(), Count: 1, Sentence: sentence, Sizing: sizingOf(&h.sum.Decision, h.burst()), same: same,
	}, &scaler.Fact{Cause: why}, h.whyDenied(key, why, c, f))
}

// denial says why key was refused, with the numbers of this moment.
func (h *History) denial(key record.Key, why record.Cause, c *caller) string {
	s := &h.sum
	slots := fmt.Sprintf("%d leased, %d waiting, %d reserved", s.Leases, s.Waiters, s.Reservations)
	switch {
	case why == record.CauseNoCapacity && s.Active.Settings.Preemptive:
		return fmt.Sprintf("refused the reservation of %q: no ready slot is free (%s; %d free, %d claimed by reservations; %s)", key, slots, s.OpenSlots,
			s.Claimed, h.policyName(s.Active.Index))
	case why == record.CauseNoCapacity:
		return fmt.Sprintf("refused the reservation of %q: all slots are taken (%s; max_instances %d × %s)", key, slots, s.MaxInstances, words.Count(s.Capacity, "slot"))
	case why == record.CausePolicy:
		return fmt.Sprintf("refused the reservation of %q: preemptive_mode is on and idle_count is 0, so no slot is ever created for it (%s)", key,
			h.policyName(s.Active.Index))
	case why == record.CauseDeadline && c != nil && !c.reserved.IsZero():
		return fmt.Sprintf("the reservation of %q expired: it was not acquired within reservation_deadline (%s)", key,
			words.Span(h.core.Config().ReservationDeadline))
	case c != nil && !c.asked.IsZero() && h.now.Mono > c.mono:
		text := fmt.Sprintf("refused %q after %s: %s", key, words.Span(h.now.Mono-c.mono), observe.Denial(why))
		if why == record.CauseCancelled {
			text = fmt.Sprintf("%q stopped waiting after %s", key, words.Span(h.now.Mono-c.mono))
		}
		return text + "; at the end " + h.waitedFor(key)
	}
	return fmt.Sprintf("refused %q: %s", key, observe.Denial(why))
}

// waitedFor says what a caller waited for when its wait ended without a slot. Its position in the queue is known only if it is followed.
func (h *History) waitedFor(key record.Key) string {
	booting, cause := h.before.Booting, h.before.WaitCause
	switch {
	case h.key != nil && h.key.key == key && h.key.waiting:
		return "it was waiting " + observe.Wait(h.key.cause)
	case booting > 0 && booting < h.before.Waiters:
		return fmt.Sprintf("callers were waiting: the first %d of %d %s, the others %s", booting, h.before.Waiters, observe.Wait(record.CauseBoot), observe.Wait(cause))
	}
	return "it was waiting " + observe.Wait(cause)
}

// whyDenied says what the caller asked for.
func (h *History) whyDenied(key record.Key, why record.Cause, c *caller, f *scaler.Fact) string {
	if f != nil {
		if ev := h.event(f); ev != nil && ev.Key == key && ev.Kind != scaler.EvCancel {
			return h.said(ev)
		}
	}
	switch {
	case why == record.CauseDeadline && c != nil && !c.reserved.IsZero():
		return fmt.Sprintf("the slot was reserved for %q at %s", key, h.clock(c.reserved))
	case c != nil && !c.asked.IsZero():
		return fmt.Sprintf("%q asked for a slot at %s", key, h.clock(c.asked))
	}
	return fmt.Sprintf("%q asked for a reservation", key)
}
