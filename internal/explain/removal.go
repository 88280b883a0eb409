package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// removal is the progress of removing an instance: retire, drain, delete.
type removal struct {
	record   *Record
	began    time.Time
	waitsFor int           // leases that have not ended yet
	last     record.Key    // the key of the lease that ended last
	drained  time.Duration // how long it took
	asks     []string      // the answers to its delete requests
	asked    int
	asking   bool          // a delete request is not answered yet
	gone     time.Duration // time from the decision until it was gone; 0: not gone yet
	life     time.Duration
}

// removed processes a fact about the removal of an instance.
func (h *History) removed(f *scaler.Fact) {
	switch f.Kind {
	case scaler.FactRetire:
		h.retired(f)
	case scaler.FactDelete:
		h.deleting(f)
	case scaler.FactGone:
		if r := h.removals[f.ID]; r != nil {
			r.gone, r.life, r.asking = max(h.at.Sub(r.began), 1), f.Took, false
			h.then(r.record, fmt.Sprintf("gone: the provider no longer lists it, %s after the decision and %s after it was first listed",
				words.Span(r.gone), words.Span(f.Took)))
			delete(h.removals, f.ID)
		}
		h.forget(f.ID)
	}
}

// retired records the decision to remove an instance.
func (h *History) retired(f *scaler.Fact) {
	delete(h.booting, f.ID)
	r := &Record{Kind: KindDelete, Instance: string(f.ID)}
	r.removal = &removal{record: r, began: h.at, waitsFor: f.Count}
	r.Sentence = fmt.Sprintf("removed instance %s: %s", f.ID, h.reason(f))
	if f.Cause == record.CauseIdle {
		r.Sizing = sizingOf(&f.Decision, h.burst())
		peak, left := f.Peak, f.Left
		r.Sizing.Peak, r.Sizing.Left = &peak, &left
		r.Sentence = fmt.Sprintf("removed instance %s: %s (%s)", f.ID, h.idled(f), h.policyName(f.Policy))
	} else {
		r.Sizing = sizingOf(&h.sum.Decision, h.burst())
	}
	h.removals[f.ID] = r.removal
	h.decided(r, f, h.why(f))
	if f.Count > 0 {
		h.then(r, fmt.Sprintf("it gets no new lease; it still has %s", words.Count(f.Count, "lease")))
	}
}

// idled says why an idle instance is removed.
func (h *History) idled(f *scaler.Fact) string {
	return fmt.Sprintf("idle since %s (idle_time is %s); at most %s needed in that time, supply without it %d", h.clock(h.at.Add(-f.Took)),
		words.Span(h.sum.Active.Settings.IdleTime), words.Count(f.Peak, "slot"), f.Left)
}

// reason says why an instance is removed, as exactly as possible.
func (h *History) reason(f *scaler.Fact) string {
	ev := h.event(f)
	switch {
	case ev == nil || ev.ID != f.ID && ev.Key == "":
	case f.Cause == record.CausePrepareFailed:
		return h.said(ev)
	case f.Cause == record.CauseUnhealthy:
		return "it is unhealthy: " + h.said(ev)
	}
	return observe.Retire(f.Cause)
}

// why says what caused the removal of an instance.
func (h *History) why(f *scaler.Fact) string {
	cfg := h.core.Config()
	switch f.Cause {
	case record.CauseIdle:
		return h.idled(f)
	case record.CauseUsedUp:
		return fmt.Sprintf("%s; max_use_count is %d", h.trigger(f), cfg.MaxUses)
	case record.CauseBootOverdue:
		if f.ID == "" {
			return fmt.Sprintf("no list contained it within instance_deadlines.requested (%s, doubled after each consecutive failed boot)",
				words.Span(cfg.RequestedDeadline))
		}
		return fmt.Sprintf("it was listed, but did not run within instance_deadlines.creating (%s, doubled after each consecutive failed boot)",
			words.Span(cfg.CreatingDeadline))
	case record.CausePrepareOverdue:
		return fmt.Sprintf("it ran, but was not ready within instance_deadlines.preparing (%s, doubled after each consecutive failed boot)",
			words.Span(cfg.PreparingDeadline))
	case record.CauseMissing:
		if since, ok := h.absent[f.ID]; ok {
			return fmt.Sprintf("the provider's list at %s no longer contained it", h.clock(since))
		}
	case record.CauseAbandoned:
		return "the caller of its lease was disconnected for too long"
	}
	return h.trigger(f)
}

// deleting notes that the provider is asked to delete an instance. It makes a new record when the journal has no retirement of the instance:
// the instance came back, or it was retired before the journal begins.
func (h *History) deleting(f *scaler.Fact) {
	r := h.removals[f.ID]
	if r == nil {
		rec := &Record{Kind: KindDelete, Instance: string(f.ID), Sizing: sizingOf(&h.sum.Decision, h.burst())}
		rec.Sentence = fmt.Sprintf("deleted instance %s: %s", f.ID, observe.Retire(f.Cause))
		rec.removal = &removal{record: rec, began: h.at}
		r = rec.removal
		h.removals[f.ID] = r
		h.decided(rec, f, h.trigger(f))
	}
	h.drains(f.ID)
	r.asked++
	r.asking = true
	if r.asked <= mostAsks {
		sentence := "asked the provider to delete it"
		if r.asked > 1 {
			sentence += fmt.Sprintf(", for the %s time", words.Ordinal(r.asked))
		}
		h.then(r.record, sentence)
	}
}

// mostAsks is the largest number of delete requests, and of answers, that are listed for one instance.
const mostAsks = 10

// answered notes the provider's answer to a delete request.
func (h *History) answered(ev *scaler.Event) {
	r := h.removals[ev.ID]
	if r == nil || !r.asking {
		return
	}
	r.asking = false
	word, sentence := "accepted", "the provider accepted the delete"
	if ev.Failure.Failed() {
		word, sentence = ev.Failure.Kind.String(), "the provider refused "+failure(ev)
		if ev.Away {
			word = "no answer from the plugin"
		}
	}
	r.asks = append(r.asks, word)
	if r.asked <= mostAsks {
		h.then(r.record, sentence)
	}
}

// drains notes the leases of id that ended in this round. They ended before the delete, but answers are processed after all facts.
func (h *History) drains(id record.ID) {
	for i := range h.batch.Grants {
		if g := &h.batch.Grants[i]; g.ID == id && (g.Kind == scaler.GrantReleased || g.Kind == scaler.GrantRevoked) {
			h.ended(id, g.Key)
		}
	}
}

// ended notes the end of a lease on an instance that is being removed.
func (h *History) ended(id record.ID, key record.Key) {
	r := h.removals[id]
	if r == nil || r.waitsFor == 0 {
		return
	}
	if r.waitsFor--; r.waitsFor == 0 {
		r.last, r.drained = key, max(h.at.Sub(r.began), 1)
		if r.drained > 1 {
			h.then(r.record, fmt.Sprintf("drained after %s: the last lease was that of %q", words.Span(r.drained), key))
		} else {
			h.then(r.record, fmt.Sprintf("the lease of %q ended at once", key))
		}
	}
}

func (r *removal) outcome() string {
	var parts []string
	switch {
	case r.waitsFor > 0:
		parts = append(parts, fmt.Sprintf("waits for %s to end", words.Count(r.waitsFor, "lease")))
	case r.last != "" && r.drained > 1:
		parts = append(parts, fmt.Sprintf("drained after %s (last lease: %q)", words.Span(r.drained), r.last))
	}
	switch {
	case r.asked == 1 && len(r.asks) == 1:
		parts = append(parts, "delete "+r.asks[0])
	case r.asked > 0 && len(r.asks) == 0:
		parts = append(parts, "delete requested")
	case r.asked > 1:
		parts = append(parts, fmt.Sprintf("delete requested %d times: %s", r.asked, strings.Join(shortened(r.asks, 6), ", ")))
	}
	switch {
	case r.gone > 0:
		parts = append(parts, fmt.Sprintf("gone after %s, at the age of %s", words.Span(r.gone), words.Span(r.life)))
	case r.asked > 0:
		parts = append(parts, "the provider still lists it")
	}
	return strings.Join(parts, "; ")
}
