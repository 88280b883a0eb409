package explain

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// caller is what a key is at: it waits, holds a lease, or has a reservation.
type caller struct {
	asked    time.Time // since when it waits
	mono     time.Duration
	reserved time.Time
	leased   time.Time // since when it holds its lease
	instance record.ID
}

// beats are the heartbeats of an instance that failed in a row.
type beats struct{ failed int }

// hear takes one event of the round, before what was decided in its step.
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

// asked notes a caller that asks for a slot. One that has a lease or waits already is about to be refused for it.
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

// answers takes what callers were told in this round.
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
			if c := h.callers[g.Key]; c != nil && c.asked.IsZero() { // else it is waiting again
				delete(h.callers, g.Key)
			}
		case scaler.GrantDenied:
			if g.Cause == record.CauseNoCapacity || g.Cause == record.CausePolicy {
				h.denied(g.Key, g.Cause, nil)
			}
		}
	}
}

// revoked records a lease that was ended against its holder's will.
func (h *History) revoked(f *scaler.Fact) {
	r := &Record{
		Kind: KindRevoke, Instance: string(f.ID), Key: string(f.Key), Sizing: sizingOf(&h.sum.Decision, h.burst()),
		Sentence: fmt.Sprintf("revoked the lease of %q on instance %s: %s", f.Key, f.ID, observe.Revoke(f.Cause)),
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
			return fmt.Sprintf("the provider's list at %s no longer had the instance, nor had those that followed", h.clock(since))
		}
	case record.CauseAbandoned:
		return fmt.Sprintf("nobody took the lease up again within reattach_after_disconnect (%s), or after a restart reattach_after_restart (%s)",
			observe.Span(cfg.ReattachAfterDisconnect), observe.Span(cfg.ReattachAfterRestart))
	}
	return h.trigger(f)
}

// denied records a caller that was refused, as f tells; nil: only its answer does. Callers that are refused for the same reason by the same
// numbers, with nothing else in between, are one record: pollers ask every few seconds.
func (h *History) denied(key record.Key, why record.Cause, f *scaler.Fact) {
	c := h.callers[key]
	sentence := h.denial(key, why, c)
	if h.key != nil && key == h.opts.Key {
		h.key.add(h.at, sentence)
	}
	switch {
	case c == nil, why == record.CauseDuplicate, why == record.CauseUnknownKey: // the key's own business goes on
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

// denial says why key was refused, with the numbers of the moment.
func (h *History) denial(key record.Key, why record.Cause, c *caller) string {
	s := &h.sum
	slots := fmt.Sprintf("%d leased, %d waiting, %d reserved", s.Leases, s.Waiters, s.Reservations)
	switch {
	case why == record.CauseNoCapacity && s.Active.Settings.Preemptive:
		return fmt.Sprintf("refused the reservation of %q: no ready slot is free to claim (%s; %d open, %d claimed by reservations; %s)", key, slots, s.OpenSlots,
			s.Claimed, h.policyName(s.Active.Index))
	case why == record.CauseNoCapacity:
		return fmt.Sprintf("refused the reservation of %q: the slots of max_instances are taken (%s, of %d × %d)", key, slots, s.MaxInstances, s.Capacity)
	case why == record.CausePolicy:
		return fmt.Sprintf("refused the reservation of %q: in preemptive_mode with idle_count 0 nothing is ever created for it (%s)", key,
			h.policyName(s.Active.Index))
	case why == record.CauseDeadline && c != nil && !c.reserved.IsZero():
		return fmt.Sprintf("the reservation of %q is void: nobody acquired it within reservation_deadline (%s)", key,
			observe.Span(h.core.Config().ReservationDeadline))
	case c != nil && !c.asked.IsZero() && h.now.Mono > c.mono:
		text := fmt.Sprintf("refused %q after %s: %s", key, observe.Span(h.now.Mono-c.mono), observe.Denial(why))
		if why == record.CauseCancelled {
			text = fmt.Sprintf("%q gave up after %s", key, observe.Span(h.now.Mono-c.mono))
		}
		return text + "; at the end " + h.waitedFor(key)
	}
	return fmt.Sprintf("refused %q: %s", key, observe.Denial(why))
}

// waitedFor says what a caller whose wait ends without a slot waited for. Where it stood in the queue is known of a caller that is followed.
func (h *History) waitedFor(key record.Key) string {
	booting, cause := h.before.Booting, h.before.WaitCause
	switch {
	case h.key != nil && h.key.key == key && h.key.waiting:
		return "it waited " + observe.Wait(h.key.cause)
	case booting > 0 && booting < h.before.Waiters:
		return fmt.Sprintf("the first %d of %d waited %s, the others %s", booting, h.before.Waiters, observe.Wait(record.CauseBoot), observe.Wait(cause))
	}
	return "it waited " + observe.Wait(cause)
}

// whyDenied says what the caller had asked for.
func (h *History) whyDenied(key record.Key, why record.Cause, c *caller, f *scaler.Fact) string {
	if f != nil {
		if ev := h.event(f); ev != nil && ev.Key == key && ev.Kind != scaler.EvCancel {
			return h.said(ev)
		}
	}
	switch {
	case why == record.CauseDeadline && c != nil && !c.reserved.IsZero():
		return fmt.Sprintf("%q was promised a slot at %s", key, h.clock(c.reserved))
	case c != nil && !c.asked.IsZero():
		return fmt.Sprintf("%q asked for a slot at %s", key, h.clock(c.asked))
	}
	return fmt.Sprintf("%q asked for a reservation", key)
}
