package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// eventOf is the index of the event in whose step f was decided; −1: the manager's start.
func eventOf(f *scaler.Fact, n int) int { return min(f.Event, n-1) }

// event is the event in whose step f was decided, or nil: the manager's start.
func (h *History) event(f *scaler.Fact) *scaler.Event {
	if i := eventOf(f, len(h.events)); i >= 0 {
		return &h.events[i]
	}
	return nil
}

// trigger says what brought f about.
func (h *History) trigger(f *scaler.Fact) string {
	ev := h.event(f)
	if ev == nil {
		return "the manager started"
	}
	return h.said(ev)
}

// said says an event in words.
func (h *History) said(ev *scaler.Event) string {
	switch ev.Kind {
	case scaler.EvAppeared, scaler.EvChanged, scaler.EvMissing, scaler.EvListed, scaler.EvListFailed:
		return h.listSaid(ev)
	case scaler.EvIncreased, scaler.EvDeleted, scaler.EvPrepared, scaler.EvBeat:
		return h.answerSaid(ev)
	case scaler.EvWake:
		return "time passed"
	case scaler.EvUnhealthy:
		return fmt.Sprintf("the manager learned of instance %s: %s", ev.ID, observe.Retire(ev.Cause))
	case scaler.EvReload:
		return "a new configuration was loaded"
	case scaler.EvDrain:
		if ev.On {
			return "an operator asked to drain"
		}
		return "an operator ended the drain"
	case scaler.EvShutdown:
		if ev.On {
			return "the manager was told to stop and to delete its instances"
		}
		return "the manager was told to stop"
	case scaler.EvRevokeAll:
		return "the shutdown's patience was over"
	}
	if ev.Kind == scaler.EvRelease && !h.gaveBack(ev.Key) {
		return fmt.Sprintf("%q asked to end a lease, in case it had one", ev.Key)
	}
	return callerSaid(ev)
}

// gaveBack reports whether a lease of key was given back in this round. Whoever stops waiting gives back what may have been granted meanwhile.
func (h *History) gaveBack(key record.Key) bool {
	return h.batch != nil && slices.ContainsFunc(h.batch.Grants, func(g scaler.Grant) bool { return g.Kind == scaler.GrantReleased && g.Key == key })
}

func callerSaid(ev *scaler.Event) string {
	switch ev.Kind {
	case scaler.EvReserve:
		return fmt.Sprintf("%q asked for a reservation", ev.Key)
	case scaler.EvUnreserve:
		return fmt.Sprintf("%q gave its reservation up", ev.Key)
	case scaler.EvAcquire:
		return fmt.Sprintf("%q asked for a slot", ev.Key)
	case scaler.EvCancel:
		return fmt.Sprintf("%q gave up waiting", ev.Key)
	case scaler.EvReplace:
		return fmt.Sprintf("%q asked for a slot on another instance", ev.Key)
	case scaler.EvReattach:
		return fmt.Sprintf("%q asked to take its lease up again", ev.Key)
	case scaler.EvDetach:
		return fmt.Sprintf("the connection of %q was lost", ev.Key)
	case scaler.EvRelease:
		if ev.Cause != record.CauseNone {
			return fmt.Sprintf("%q gave its slot back and said of the instance: %s", ev.Key, observe.Retire(ev.Cause))
		}
		return fmt.Sprintf("%q gave its slot back", ev.Key)
	}
	return "something that this version does not know"
}

// listSaid says what a list brought.
func (h *History) listSaid(ev *scaler.Event) string {
	list := "the provider's list at " + h.clock(h.at)
	switch ev.Kind {
	case scaler.EvAppeared:
		return fmt.Sprintf("%s had instance %s (%s)", list, ev.ID, ev.Listed)
	case scaler.EvChanged:
		return fmt.Sprintf("%s said that instance %s is %s", list, ev.ID, ev.Listed)
	case scaler.EvMissing:
		return fmt.Sprintf("%s no longer had instance %s", list, ev.ID)
	case scaler.EvListFailed:
		return fmt.Sprintf("the provider's list could not be had (%s): %s", ev.Failure.Kind, ev.Failure.Message)
	}
	return list + " came"
}

// answerSaid says the answer to a command.
func (h *History) answerSaid(ev *scaler.Event) string {
	failed := ev.Failure.Failed()
	switch ev.Kind {
	case scaler.EvIncreased:
		if failed {
			return "the provider refused a create " + failure(ev)
		}
		return fmt.Sprintf("the provider accepted the create of %s", observe.Count(ev.Count, "instance"))
	case scaler.EvDeleted:
		if failed {
			return fmt.Sprintf("the provider refused to delete instance %s %s", ev.ID, failure(ev))
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

// failure says an answer's failure in brackets and words.
func failure(ev *scaler.Event) string {
	if ev.Away {
		return "(the plugin was away): " + ev.Failure.Message
	}
	return fmt.Sprintf("(%s): %s", ev.Failure.Kind, ev.Failure.Message)
}

// whyNow says what brought a create about: what changed the need or the supply, or what ended that held it back.
func (h *History) whyNow(f *scaler.Fact) string {
	ev := h.event(f)
	if ev != nil && ev.Kind != scaler.EvWake && ev.Kind != scaler.EvListed {
		return h.said(ev)
	}
	for i := range h.batch.Facts { // what the same step decided before
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

// released says what held creates back before this round, or else what the event was.
func (h *History) released(f *scaler.Fact) string {
	b := &h.before
	switch {
	case !b.Started && h.sum.Started:
		return "the provider's first list came"
	case b.Decision.Grow >= b.Decision.Wanted:
		return h.trigger(f)
	case b.Paused:
		return "the pause for another manager was over"
	case b.Decision.BoundBy == policy.BoundThrottle:
		return "scale_throttle allowed more creates"
	case b.Decision.BoundBy == policy.BoundBreaker:
		return "the runaway breaker allowed the next machine to be tried"
	case b.Decision.BoundBy == policy.BoundBlocked && b.BackoffFor > 0:
		return "the back-off was over"
	case b.Decision.BoundBy == policy.BoundMaxInstances, b.Decision.BoundBy == policy.BoundProviderMax:
		return "there was room below max_instances again"
	}
	return h.trigger(f)
}

func (h *History) policyBegan(f *scaler.Fact) string {
	if f.Count < 0 {
		return "no policy matches any more: nothing is kept idle"
	}
	return h.policyHolds(f.Count)
}

// policyHolds says that a policy begins to hold, and what it asks for.
func (h *History) policyHolds(index int) string {
	number, when, _ := strings.Cut(h.policyName(index), ", ")
	if when != "" {
		number += " (" + when + ")"
	}
	return number + " begins to hold"
}
