package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	failures "github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// eventOf returns the index of the event whose step decided f. −1: the start of the manager.
func eventOf(f *scaler.Fact, n int) int { return min(f.Event, n-1) }

// event returns the event whose step decided f, or nil for the start of the manager.
func (h *History) event(f *scaler.Fact) *scaler.Event {
	if i := eventOf(f, len(h.events)); i >= 0 {
		return &h.events[i]
	}
	return nil
}

// trigger says what caused f.
func (h *History) trigger(f *scaler.Fact) string {
	ev := h.event(f)
	if ev == nil {
		return "the manager started"
	}
	return h.said(ev)
}

// said describes an event.
func (h *History) said(ev *scaler.Event) string {
	switch ev.Kind {
	case scaler.EvAppeared, scaler.EvChanged, scaler.EvMissing, scaler.EvListed, scaler.EvListFailed:
		return h.listSaid(ev)
	case scaler.EvIncreased, scaler.EvDeleted, scaler.EvPrepared, scaler.EvBeat:
		return h.answerSaid(ev)
	case scaler.EvWake:
		return "time passed"
	case scaler.EvUnhealthy:
		if ev.Cause == record.CauseUnhealthy {
			return fmt.Sprintf("the provider could not say how to reach instance %s: %s", ev.ID, ev.Failure.Message)
		}
		return fmt.Sprintf("a connection to instance %s found out: %s", ev.ID, observe.Retire(ev.Cause))
	case scaler.EvUnreachable:
		if ev.On {
			return fmt.Sprintf("the provider could not say how to reach instance %s: %s", ev.ID, ev.Failure.Message)
		}
		return fmt.Sprintf("the provider said how to reach instance %s", ev.ID)
	case scaler.EvReload:
		return "a new configuration was loaded"
	case scaler.EvDrain:
		if ev.On {
			return "an operator started a drain"
		}
		return "an operator ended the drain"
	case scaler.EvShutdown:
		if ev.On {
			return "the manager was told to stop and to delete its instances"
		}
		return "the manager was told to stop"
	case scaler.EvRevokeAll:
		return "the shutdown stopped waiting for running jobs"
	}
	if ev.Kind == scaler.EvRelease && !h.gaveBack(ev.Key) {
		return fmt.Sprintf("%q asked to release its lease, if it had one", ev.Key)
	}
	return callerSaid(ev)
}

// gaveBack reports whether a lease of key was released in this round. A caller that stops waiting also sends a release, in case it got a lease.
func (h *History) gaveBack(key record.Key) bool {
	return h.batch != nil && slices.ContainsFunc(h.batch.Grants, func(g scaler.Grant) bool { return g.Kind == scaler.GrantReleased && g.Key == key })
}

func callerSaid(ev *scaler.Event) string {
	switch ev.Kind {
	case scaler.EvReserve:
		return fmt.Sprintf("%q asked for a reservation", ev.Key)
	case scaler.EvUnreserve:
		return fmt.Sprintf("%q cancelled its reservation", ev.Key)
	case scaler.EvAcquire:
		return fmt.Sprintf("%q asked for a slot", ev.Key)
	case scaler.EvCancel:
		return fmt.Sprintf("%q stopped waiting", ev.Key)
	case scaler.EvReplace:
		return fmt.Sprintf("%q asked for a slot on another instance", ev.Key)
	case scaler.EvReattach:
		return fmt.Sprintf("%q asked to reattach to its lease", ev.Key)
	case scaler.EvDetach:
		return fmt.Sprintf("the connection of %q was lost", ev.Key)
	case scaler.EvRelease:
		if ev.Cause != record.CauseNone {
			return fmt.Sprintf("%q released its slot and reported about the instance: %s", ev.Key, observe.Retire(ev.Cause))
		}
		return fmt.Sprintf("%q released its slot", ev.Key)
	}
	return "an event that this version does not know"
}

// listSaid describes the result of a list.
func (h *History) listSaid(ev *scaler.Event) string {
	list := "the provider's list at " + h.clock(h.at)
	switch ev.Kind {
	case scaler.EvAppeared:
		return fmt.Sprintf("%s contained instance %s (%s)", list, ev.ID, ev.Listed)
	case scaler.EvChanged:
		return fmt.Sprintf("%s showed instance %s as %s", list, ev.ID, ev.Listed)
	case scaler.EvMissing:
		return fmt.Sprintf("%s no longer contained instance %s", list, ev.ID)
	case scaler.EvListFailed:
		return fmt.Sprintf("the provider's list failed (%s): %s", ev.Failure.Kind, ev.Failure.Message)
	}
	return list + " arrived"
}

// answerSaid describes the answer to a command.
func (h *History) answerSaid(ev *scaler.Event) string {
	failed := ev.Failure.Failed()
	switch ev.Kind {
	case scaler.EvIncreased:
		if failed {
			return answer(ev, "a create") + failure(ev)
		}
		return fmt.Sprintf("the provider accepted the create of %s", words.Count(ev.Count, "instance"))
	case scaler.EvDeleted:
		if failed {
			return answer(ev, fmt.Sprintf("the delete of instance %s", ev.ID)) + failure(ev)
		}
		return fmt.Sprintf("the provider accepted the delete of instance %s", ev.ID)
	case scaler.EvPrepared:
		if failed {
			return fmt.Sprintf("preparing instance %s failed %s", ev.ID, failure(ev))
		}
		return fmt.Sprintf("instance %s was prepared", ev.ID)
	}
	if !failed {
		return fmt.Sprintf("instance %s answered its heartbeat", ev.ID)
	}
	if b := h.beats[ev.ID]; b != nil && b.failed > 1 {
		return fmt.Sprintf("heartbeat of instance %s failed %d times in a row: %s", ev.ID, b.failed, ev.Failure.Message)
	}
	return fmt.Sprintf("heartbeat of instance %s failed: %s", ev.ID, ev.Failure.Message)
}

// answer says that a call failed. The provider refused it, unless its outcome is unknown.
func answer(ev *scaler.Event, what string) string {
	switch {
	case ev.Away || ev.Failure.Kind == failures.Transient:
		return what + " failed "
	case ev.Failure.Kind == failures.NotFound && ev.Kind == scaler.EvDeleted:
		return "the provider answered " + what + " "
	}
	return "the provider refused " + what + " "
}

// failure returns the kind and the message of a failed answer.
func failure(ev *scaler.Event) string {
	switch {
	case ev.Away:
		return "(no answer from the plugin): " + ev.Failure.Message
	case ev.Kind == scaler.EvPrepared && ev.On:
		return "(the way to it): " + ev.Failure.Message
	}
	return fmt.Sprintf("(%s): %s", ev.Failure.Kind, ev.Failure.Message)
}

// whyNow says what caused a create: a change of the need or of the supply, or the end of something that held it back.
func (h *History) whyNow(f *scaler.Fact) string {
	ev := h.event(f)
	if ev != nil && ev.Kind != scaler.EvWake && ev.Kind != scaler.EvListed {
		return h.said(ev)
	}
	for i := range h.batch.Facts { // the earlier decisions of the same step
		switch g := &h.batch.Facts[i]; {
		case g == f:
			return h.released(f)
		case g.Event != f.Event:
		case g.Kind == scaler.FactPolicy:
			return h.policyBegan(g)
		case g.Kind == scaler.FactRetire, g.Kind == scaler.FactLost, g.Kind == scaler.FactIntent, g.Kind == scaler.FactForeign,
			g.Kind == scaler.FactBreaker:
			return observe.Sentence(g)
		}
	}
	return h.released(f)
}

// released says what had held back creates before this round. If nothing had, it describes the event.
func (h *History) released(f *scaler.Fact) string {
	b := &h.before
	switch {
	case !b.Started && h.sum.Started:
		return "the provider's first list arrived"
	case b.Decision.Grow >= b.Decision.Wanted:
		return h.trigger(f)
	case b.Paused:
		return "the pause because of another manager ended"
	case b.Decision.BoundBy == policy.BoundThrottle:
		return "scale_throttle allowed more creates"
	case b.Decision.BoundBy == policy.BoundBreaker:
		return "the runaway breaker allowed the next create"
	case b.Decision.BoundBy == policy.BoundBlocked && b.BackoffFor > 0:
		return "the back-off ended"
	case b.Decision.BoundBy == policy.BoundMaxInstances:
		return "there was room below max_instances again"
	case b.Decision.BoundBy == policy.BoundProviderMax:
		return "there was room below the provider's limit again"
	}
	return h.trigger(f)
}

func (h *History) policyBegan(f *scaler.Fact) string {
	if f.Count < 0 {
		return "no policy applies any more: no slot is kept idle"
	}
	return h.policyStarts(f.Count)
}

// policyStarts says that a policy starts to apply.
func (h *History) policyStarts(index int) string {
	number, when, _ := strings.Cut(h.policyName(index), ", ")
	if when != "" {
		number += " (" + when + ")"
	}
	return number + " starts to apply"
}
