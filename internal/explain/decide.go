package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// creation is the progress of a create.
type creation struct {
	record   *Record
	asked    int
	came     []record.ID
	ready    int // how many of came are ready
	slowest  time.Duration
	never    int // did not appear in time
	triggers int
}

// mostTriggers is the largest number of triggers that are named for one create.
const mostTriggers = 3

// tell processes one fact of the round.
func (h *History) tell(f *scaler.Fact) {
	if h.life != nil {
		h.life.fact(h, f)
	}
	switch f.Kind {
	case scaler.FactCreate:
		h.created(f)
	case scaler.FactHold:
		h.held(f)
	case scaler.FactRefused, scaler.FactFruitless, scaler.FactBreaker:
		h.backedOff(f)
	case scaler.FactAppeared, scaler.FactReady, scaler.FactIntent:
		h.progress(f)
	case scaler.FactRetire, scaler.FactDelete, scaler.FactGone:
		h.removed(f)
	case scaler.FactRevoke:
		h.revoked(f)
	case scaler.FactDeny:
		h.denied(f.Key, f.Cause, f)
	case scaler.FactPrepare, scaler.FactWait, scaler.FactListFailed, scaler.FactListed:
		// shown in the history of an instance, in the split of waits, and in the record of failed lists
	default:
		h.happened(f)
	}
}

// decided adds a record of a decision, with the cause of f and the triggers of the decision.
func (h *History) decided(r *Record, f *scaler.Fact, because ...string) *Record {
	if f.Cause != record.CauseNone {
		r.Cause = f.Cause.String()
	}
	r.Policy = h.policyNow()
	for _, why := range because {
		if why != "" {
			r.Chain = append(r.Chain, Link{h.at, RoleTrigger, why})
		}
	}
	r.Chain = append(r.Chain, Link{h.at, RoleDecision, r.Sentence})
	return h.add(r)
}

// created records a create. Several creates of one round become one record, because they are one call of the provider.
func (h *History) created(f *scaler.Fact) {
	why := h.whyNow(f)
	if c := h.creations[f.Op]; c != nil {
		r := c.record
		c.asked += f.Count
		d := f.Decision
		already := r.Count
		d.Supply, d.Free, d.Existing = d.Supply-already*d.PerInstance, d.Free-already*d.PerInstance, d.Existing-already
		d.Missing = max(d.Needed-d.Supply, 0)
		d.Wanted, d.Grow = d.Wanted+already, d.Grow+already
		if d.Room >= 0 {
			d.Room += already
		}
		if d.Allowed >= 0 {
			d.Allowed += already
		}
		r.Count = c.asked
		h.createSentence(r, &d, f.Policy)
		if c.triggers++; c.triggers <= mostTriggers {
			r.Chain = slices.Insert(r.Chain, len(r.Chain)-1, Link{h.at, RoleTrigger, why})
		} else {
			r.Chain[mostTriggers-1].Sentence = fmt.Sprintf("%d more events like these", c.triggers-mostTriggers+1)
		}
		r.Chain[len(r.Chain)-1].Sentence = r.Sentence
		return
	}
	r := &Record{Kind: KindCreate, Create: f.Op, Count: f.Count}
	r.creation = &creation{record: r, asked: f.Count, triggers: 1}
	h.creations[f.Op] = r.creation
	h.createSentence(r, &f.Decision, f.Policy)
	h.decided(r, f, why)
}

func (h *History) createSentence(r *Record, d *policy.Decision, index int) {
	r.Sizing = sizingOf(d, h.burst())
	what := words.Count(r.Count, "instance")
	if d.Grow < d.Wanted {
		what = fmt.Sprintf("%d of %s", r.Count, words.Count(d.Wanted, "instance"))
	}
	r.Sentence = fmt.Sprintf("asked the provider for %s: %s", what, observe.Sizing(d, h.policyName(index), h.burst()))
}

// held records creates that are needed but held back.
func (h *History) held(f *scaler.Fact) {
	until := ""
	if at := h.core.Ahead().Grow; at > h.now.Mono {
		until = " until " + h.clock(h.at.Add(at-h.now.Mono))
	}
	h.decided(&Record{
		Kind: KindHold, Count: f.Count, Sizing: sizingOf(&f.Decision, h.burst()),
		Sentence: fmt.Sprintf("held back %s%s, because %s: %s", words.Count(f.Count, "create"), until, h.holds(f),
			observe.Sizing(&f.Decision, h.policyName(f.Policy), h.burst())),
	}, f, h.whyNow(f))
}

// holds says what holds back creates.
func (h *History) holds(f *scaler.Fact) string {
	if f.Cause == record.CausePlugin && !h.sum.Started {
		return "the provider's first list has not arrived yet"
	}
	return observe.Retire(f.Cause)
}

// backedOff records what stops creates for a time, or lets them continue.
func (h *History) backedOff(f *scaler.Fact) {
	r := &Record{Kind: KindBackoff, Instance: string(f.ID), Create: f.Op, Count: f.Count, Sizing: sizingOf(&h.sum.Decision, h.burst())}
	rest := h.sum.BackoffFor
	if rest == 0 {
		rest = f.Took
	}
	until := h.clock(h.at.Add(rest))
	var because []string
	switch f.Kind {
	case scaler.FactRefused:
		r.Sentence = fmt.Sprintf("nothing is created until %s (%s): a create failed (%d in a row, %s): %s", until, words.Span(rest), f.Count,
			f.Failure.Kind, f.Failure.Message)
		if c := h.creations[f.Op]; c != nil {
			because = append(because, words.Count(c.asked, "instance")+" had been requested")
			h.then(c.record, h.trigger(f))
		}
	case scaler.FactFruitless:
		what, reason := fmt.Sprintf("the boot of instance %s failed", f.ID), ": "+h.reason(f)
		switch {
		case f.ID == "":
			what, reason = "an instance did not appear in time"+observe.Accepted(f.On), ""
		case f.On:
			what = fmt.Sprintf("early failure of instance %s", f.ID)
		}
		r.Sentence = fmt.Sprintf("nothing is created until %s (%s): %s (%d in a row)%s", until, words.Span(rest), what, f.Count, reason)
	default:
		r.Kind, r.Sentence = KindBreaker, observe.Sentence(f)
	}
	h.decided(r, f, append(because, h.why(f))...)
}

// progress notes how creates proceed.
func (h *History) progress(f *scaler.Fact) {
	switch f.Kind {
	case scaler.FactAppeared:
		delete(h.absent, f.ID)
		if c := h.creations[f.Op]; c != nil && f.Op != 0 {
			c.came = append(c.came, f.ID)
			c.never = min(c.never, max(c.asked-len(c.came), 0))
			h.booting[f.ID] = c
			h.then(c.record, fmt.Sprintf("instance %s appeared", f.ID))
			if len(c.came) >= c.asked {
				delete(h.creations, f.Op)
			}
		}
	case scaler.FactReady:
		if c := h.booting[f.ID]; c != nil {
			c.ready++
			c.slowest = max(c.slowest, f.Took)
			h.then(c.record, fmt.Sprintf("instance %s is ready, %s after it was first listed", f.ID, words.Span(f.Took)))
			delete(h.booting, f.ID)
		}
	case scaler.FactIntent:
		if c := h.creations[f.Op]; c != nil {
			c.never = max(c.never, f.Count)
			h.then(c.record, fmt.Sprintf("%d did not appear: %s", f.Count, neverCame(f.Cause)))
		}
	}
}

// neverCame says why a requested instance is no longer expected.
func neverCame(c record.Cause) string {
	switch c {
	case record.CauseBootOverdue:
		return "the provider did not list any within instance_deadlines.requested"
	case record.CauseZombie:
		return "an instance appeared under the name of an earlier one, and it may be the one that was requested"
	}
	return "the provider's complete lists do not contain any"
}

// then adds a consequence to the chain of r.
func (h *History) then(r *Record, sentence string) {
	r.Chain = append(r.Chain, Link{h.at, RoleThen, sentence})
}

func (c *creation) outcome() string {
	var parts []string
	if n := len(c.came); n > 0 {
		names := make([]string, n)
		for i, id := range c.came {
			names[i] = string(id)
		}
		s := fmt.Sprintf("%d appeared: %s", n, strings.Join(shortened(names, 6), ", "))
		switch {
		case c.ready == n && n == 1:
			s += ", ready after " + words.Span(c.slowest)
		case c.ready == n:
			s += ", all ready after " + words.Span(c.slowest)
		case c.ready > 0:
			s += fmt.Sprintf(", %d of them ready", c.ready)
		}
		parts = append(parts, s)
	}
	if c.never > 0 {
		parts = append(parts, fmt.Sprintf("%d never appeared", c.never))
	}
	if left := c.asked - len(c.came) - c.never; left > 0 {
		parts = append(parts, fmt.Sprintf("%d not listed yet", left))
	}
	return strings.Join(parts, "; ")
}

// shortened returns the first n names, and the number of the others.
func shortened(names []string, n int) []string {
	if len(names) <= n {
		return names
	}
	return append(names[:n:n], fmt.Sprintf("and %d more", len(names)-n))
}

// finish updates the outcome of a record.
func (h *History) finish(r *Record) {
	switch {
	case r.creation != nil:
		r.Outcome = r.creation.outcome()
	case r.removal != nil:
		r.Outcome = r.removal.outcome()
	}
}

// happened records facts that are neither a create nor a removal.
func (h *History) happened(f *scaler.Fact) {
	kinds := map[scaler.FactKind]Kind{
		scaler.FactLost: KindLost, scaler.FactReturned: KindReturned, scaler.FactPolicy: KindPolicy, scaler.FactReload: KindReload,
		scaler.FactForeign: KindPause, scaler.FactUnreachable: KindUnreachable, scaler.FactAdopt: KindAdopt, scaler.FactUnclaimed: KindUnclaimed, scaler.FactAlarm: KindAlarm,
	}
	r := &Record{Kind: kinds[f.Kind], Instance: string(f.ID), Sentence: observe.Sentence(f)}
	because := h.trigger(f)
	switch f.Kind {
	case scaler.FactPolicy:
		r.Sentence, because = h.policyBegan(f), ""
	case scaler.FactReload:
		if ev := h.event(f); ev != nil && ev.Config != nil {
			to := ev.Config.WithDefaults()
			r.Sentence, h.cfg = r.Sentence+": "+reloaded(&h.cfg, &to), to
		}
	case scaler.FactLost:
		if since, ok := h.absent[f.ID]; ok {
			because = fmt.Sprintf("neither the provider's list at %s nor the lists after it contained it", h.clock(since))
		}
		h.forget(f.ID)
	case scaler.FactAlarm:
		because = fmt.Sprintf("the provider was asked %s in %s to delete it", words.Count(f.Count, "time"), words.Span(f.Took))
		if gone := h.removals[f.ID]; gone != nil && len(gone.asks) > 0 {
			because += "; the latest answer: " + gone.asks[len(gone.asks)-1]
		}
	case scaler.FactAdopt:
		switch {
		case f.Op != 0:
			r.Sentence += ": an earlier create that was given up explains it"
		case f.Cause == record.CauseMissing:
			r.Sentence += ": the provider group replaced a lost instance"
		case f.Cause == record.CauseOperator:
			r.Sentence += ": adopt_preexisting is \"adopt\""
		case f.Cause == record.CausePreexisting:
			r.Sentence += ": a create was open when the manager stopped, and the instance may be from it"
		}
	}
	h.decided(r, f, because)
}

// forget drops the data about an instance that is gone.
func (h *History) forget(id record.ID) {
	delete(h.absent, id)
	delete(h.beats, id)
	delete(h.booting, id)
}

// listFailed records a failed list. Consecutive failures become one record.
func (h *History) listFailed(ev *scaler.Event) {
	h.listWords = ev.Failure.Message
	if r := h.listFail; r != nil {
		r.Count, r.until = r.Count+1, h.at
		r.Outcome = fmt.Sprintf("%d failed in a row, the last at %s", r.Count, clock(h.at, r.Time))
		return
	}
	count := max(h.sum.ListFailures, 1)
	h.listFail = h.note(KindList, "", observe.Sentence(&scaler.Fact{Kind: scaler.FactListFailed, Failure: ev.Failure, Count: count}))
	h.listFail.Count = count
}
