package dst

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// say adds a line to the trace, with the time of the world.
func (w *world) say(what, format string, args ...any) {
	at := (w.now.Mono - began).Round(time.Millisecond)
	w.lines = append(w.lines, fmt.Sprintf("%12s  %-8s %s", "+"+at.String(), what, fmt.Sprintf(format, args...)))
}

func (w *world) sayEvent(ev *scaler.Event) { w.say("event", "%s", w.describe(ev)) }

var eventNames = map[scaler.EventKind]string{
	scaler.EvReserve: "reserves", scaler.EvUnreserve: "cancels its reservation", scaler.EvAcquire: "acquires", scaler.EvCancel: "gives up its wait",
	scaler.EvRelease: "releases", scaler.EvReplace: "asks for another instance", scaler.EvReattach: "asks for its lease again",
	scaler.EvDetach: "has lost its connection", scaler.EvAppeared: "is listed", scaler.EvChanged: "is now listed", scaler.EvMissing: "is no longer listed",
	scaler.EvIncreased: "create", scaler.EvDeleted: "delete of", scaler.EvPrepared: "preparation of", scaler.EvBeat: "heartbeat of",
}

// describe describes an event in words.
func (w *world) describe(ev *scaler.Event) string {
	switch ev.Kind {
	case scaler.EvReserve, scaler.EvUnreserve, scaler.EvAcquire, scaler.EvCancel, scaler.EvRelease, scaler.EvReplace, scaler.EvReattach, scaler.EvDetach:
		text := fmt.Sprintf("%s %s", ev.Key, eventNames[ev.Kind])
		if ev.Deadline > 0 {
			text += fmt.Sprintf(", by +%v", ev.Deadline-began)
		}
		if ev.Cause != record.CauseNone {
			text += ": " + ev.Cause.String()
		}
		return text
	case scaler.EvAppeared, scaler.EvChanged:
		return fmt.Sprintf("%s %s as %s", ev.ID, eventNames[ev.Kind], ev.Listed)
	case scaler.EvMissing:
		return fmt.Sprintf("%s is no longer listed", ev.ID)
	case scaler.EvListed:
		return fmt.Sprintf("a complete list, asked for at +%v", ev.Since-began)
	case scaler.EvListFailed:
		return "a list failed" + told(ev)
	case scaler.EvIncreased:
		return fmt.Sprintf("create %d is answered: %d accepted%s", ev.Op, ev.Count, told(ev))
	case scaler.EvDeleted, scaler.EvPrepared, scaler.EvBeat:
		return fmt.Sprintf("%s %s (command %d) is answered%s", eventNames[ev.Kind], ev.ID, ev.Op, told(ev))
	case scaler.EvUnhealthy:
		return fmt.Sprintf("%s must not be used again: %s", ev.ID, ev.Cause)
	case scaler.EvUnreachable:
		return fmt.Sprintf("%s cannot be reached: %v", ev.ID, ev.On)
	case scaler.EvReload:
		c := ev.Config
		return fmt.Sprintf("reload: capacity %d, max_instances %d (provider %d), max_use_count %d, throttle %v/%d, adopt %d, policies %d", c.Capacity,
			c.MaxInstances, c.ProviderMax, c.MaxUses, c.Throttle.Limit, c.Throttle.Burst, c.Adopt, c.Schedule.Len())
	case scaler.EvDrain:
		return fmt.Sprintf("drain: %v", ev.On)
	case scaler.EvShutdown:
		return fmt.Sprintf("shutdown, deletes: %v", ev.On)
	case scaler.EvRevokeAll:
		return "the shutdown no longer waits: every lease ends"
	}
	return "wake"
}

func told(ev *scaler.Event) string {
	if !ev.Failure.Failed() {
		return ""
	}
	text := ": " + ev.Failure.Kind.String()
	if ev.Failure.RetryAfter > 0 {
		text += fmt.Sprintf(", retry after %v", ev.Failure.RetryAfter)
	}
	if ev.Away {
		text += " (the plugin is away)"
	}
	return text
}

var grantNames = map[scaler.GrantKind]string{
	scaler.GrantLease: "has", scaler.GrantReserved: "has a reservation", scaler.GrantReattached: "has again", scaler.GrantReleased: "has released",
	scaler.GrantDenied: "is refused", scaler.GrantRevoked: "has lost",
}

func (w *world) sayGrant(g *scaler.Grant) {
	text := fmt.Sprintf("%s %s", g.Key, grantNames[g.Kind])
	if g.ID != "" {
		text += fmt.Sprintf(" slot %d of %s (use %d)", g.Slot, g.ID, g.Use)
	}
	if g.Cause != record.CauseNone {
		text += ": " + g.Cause.String()
	}
	w.say("answer", "%s", text)
}

func (w *world) sayCommand(cmd *scaler.Command, out bool) {
	text := fmt.Sprintf("%d: %s", cmd.Op, cmd.Kind)
	if cmd.ID != "" {
		text += " " + string(cmd.ID)
	}
	if cmd.Count > 0 {
		text += fmt.Sprintf(" %d", cmd.Count)
	}
	if !out {
		text += " (never sent)"
	}
	w.say("command", "%s", text)
}

func (w *world) sayFact(f *scaler.Fact) { w.say("fact", "%s", observe.Sentence(f)) }

// opening describes the world at the beginning of a trace.
func (w *world) opening() string {
	c, on := &w.setup.cfg, []string{}
	for f := range faults {
		if w.likely[f] > 0 {
			on = append(on, faults[f].name)
		}
	}
	s := c.Schedule.At(w.setup.wall).Settings
	return fmt.Sprintf("capacity %d, max_instances %d (provider %d), max_use_count %d, throttle %v/%d, lists every %v, heartbeats %v, store %v, adopt %d\n"+
		"policies %d; first: idle_count %d, idle_time %v, scale_factor %v (limit %d, %s), preemptive %v\nfaults drawn: %s", c.Capacity, c.MaxInstances,
		c.ProviderMax, c.MaxUses, c.Throttle.Limit, c.Throttle.Burst, c.UpdateInterval, c.Heartbeat, w.setup.store, c.Adopt, c.Schedule.Len(), s.IdleCount,
		s.IdleTime, s.ScaleFactor, s.ScaleFactorLimit, s.ScaleFactorMode, s.Preemptive, strings.Join(on, ", "))
}
