package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// holding returns everything that holds back creates and deletes at this moment, even if none are needed.
func (h *History) holding() []Holding {
	s, out := &h.sum, []Holding{}
	add := func(on bool, cause record.Cause, sentence string) {
		if on {
			out = append(out, Holding{Cause: cause.String(), Sentence: sentence})
		}
	}
	add(!s.Started, record.CausePlugin, "the provider's first list has not arrived yet; until then nothing is created or removed")
	add(s.Shutdown, record.CauseShutdown, "the manager is shutting down and takes no new work")
	add(s.Closed && !s.Shutdown, record.CauseDraining, "the manager is draining: it takes no new work and removes idle instances; `taskscaler drain --undo` ends the drain")
	add(s.Paused, record.CauseForeign,
		"creates are paused, and so are deletes of instances that this manager did not create: instances appear that it did not ask for, so another "+
			"manager seems to use this group")
	if s.Breaker {
		add(true, record.CauseBreaker, observe.Breaker(s.Fruitless+s.DiedYoung)+observe.Latest(s.Latest))
	}
	if s.BackoffFor > 0 {
		until := h.at.Add(s.BackoffFor)
		out = append(out, Holding{
			Cause: s.BackoffCause.String(), Until: &until,
			Sentence: fmt.Sprintf("nothing is created until %s: %s (%s)", h.clock(until), observe.Retire(s.BackoffCause), h.inARow()) + observe.Latest(s.Latest),
		})
	}
	if s.Held != record.CauseNone && !slices.ContainsFunc(out, func(o Holding) bool { return o.Cause == s.Held.String() }) {
		add(true, s.Held, observe.Held(&s.Decision, s.Held))
	}
	add(s.ListFailures > 0, record.CauseLists, "listing the instances failed "+words.Count(s.ListFailures, "time")+
		" in a row: the current instances are not known"+observe.Latest(h.listWords))
	return out
}

// inARow returns the number of failures that led to a back-off.
func (h *History) inARow() string {
	s := &h.sum
	switch {
	case s.Refusals > 0 && s.Fruitless+s.DiedYoung > 0:
		return fmt.Sprintf("%s and %s in a row", words.Count(s.Refusals, "failed create"), words.Count(s.Fruitless+s.DiedYoung, "failed instance"))
	case s.Refusals > 0:
		return words.Count(s.Refusals, "failed create") + " in a row"
	}
	return words.Count(s.Fruitless+s.DiedYoung, "failed instance") + " in a row"
}

// coming returns what will happen only because time passes, the soonest first.
func (h *History) coming() []Coming {
	a, s, out := h.core.Ahead(), &h.sum, []Coming{}
	add := func(at time.Time, format string, args ...any) {
		out = append(out, Coming{At: at.In(h.opts.Location), Sentence: fmt.Sprintf(format, args...)})
	}
	if a.Grow > 0 {
		at := h.at.Add(a.Grow - h.now.Mono)
		if s.Decision.BoundBy == policy.BoundThrottle {
			add(at, "scale_throttle allows one more create")
		} else {
			add(at, "the back-off ends and creates continue")
		}
	} else if s.BackoffFor > 0 {
		add(h.at.Add(s.BackoffFor), "the back-off ends")
	}
	if a.Shrink > 0 {
		add(h.at.Add(a.Shrink-h.now.Mono), "the instance that has been idle longest may be removed")
	}
	if !a.Edge.IsZero() {
		next := h.core.Config().Schedule.At(a.Edge)
		if next.Index < 0 {
			add(a.Edge, "no policy applies any more: no slot is kept idle")
		} else {
			add(a.Edge, "%s: idle_count %d, idle_time %s", h.policyStarts(next.Index), next.Settings.IdleCount,
				words.Span(next.Settings.IdleTime))
		}
	}
	slices.SortStableFunc(out, func(a, b Coming) int { return a.At.Compare(b.At) })
	return out
}
