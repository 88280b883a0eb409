package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// State is the state of a group at one time, and the reasons for it.
type State struct {
	At        time.Time       `json:"at"`     // of the last round
	Counts    map[string]int  `json:"counts"` // the names are those of `taskscaler status --json`
	Sentence  string          `json:"sentence"`
	Sizing    *Sizing         `json:"sizing"`
	Policy    *Policy         `json:"policy"`
	Wanted    string          `json:"wanted"` // the sizing in one sentence
	Held      []Holding       `json:"held"`   // what holds back creates and deletes
	Idle      []IdleInstance  `json:"idle"`   // why idle instances are still there
	Instances []InstanceState `json:"instances"`
	Waiting   string          `json:"waiting"` // how many callers wait for instances to boot, and what the others wait for
	Waiters   []Waiter        `json:"waiters"`
	Next      []Coming        `json:"next"` // what will happen only because time passes, the soonest first
}

// Holding is one thing that holds back creates or deletes.
type Holding struct {
	Cause    string     `json:"cause"`
	Until    *time.Time `json:"until,omitempty"` // absent: not known
	Sentence string     `json:"sentence"`
}

// IdleInstance is an instance without a lease, and why it is not removed yet.
type IdleInstance struct {
	ID       string     `json:"id"`
	Since    time.Time  `json:"since"`
	MayGo    *time.Time `json:"may_go,omitempty"` // the earliest time of its removal; absent: it is needed now
	Sentence string     `json:"sentence"`
}

// InstanceState is one instance.
type InstanceState struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Cause    string    `json:"cause,omitempty"`
	Leases   []string  `json:"leases"` // keys
	Uses     int       `json:"uses"`
	Sentence string    `json:"sentence"`
}

// Waiter is a caller that waits for a slot.
type Waiter struct {
	Key      string  `json:"key"`
	Position int     `json:"position"` // from 1
	Cause    string  `json:"cause"`
	Seconds  float64 `json:"seconds"` // so far
	Sentence string  `json:"sentence"`
}

// Coming is something that will happen only because time passes, if nothing else happens before.
type Coming struct {
	At       time.Time `json:"at"`
	Sentence string    `json:"sentence"`
}

// State returns the state of the group after the last round, or nil if there was no round.
func (h *History) State() *State {
	if h.core == nil {
		return nil
	}
	s := &h.sum
	st := &State{
		At: h.at, Sizing: sizingOf(&s.Decision, h.burst()), Policy: h.policyNow(),
		Wanted: observe.Wanted(&s.Decision, h.policyName(s.Active.Index), h.burst()), Held: h.holding(), Instances: []InstanceState{},
		Waiters: []Waiter{}, Idle: []IdleInstance{}, Waiting: observe.Waiting(s.Waiters, s.Booting, s.WaitCause),
		Counts: map[string]int{
			"creating": s.Creating, "preparing": s.Preparing, "ready": s.Ready, "draining": s.Draining, "deleting": s.Deleting,
			"unclaimed": s.Unclaimed, "idle": s.Idle, "requested": s.Requested, "doubt": s.Doubt, "leases": s.Leases, "waiters": s.Waiters,
			"reservations": s.Reservations, "free": s.OpenSlots,
		},
	}
	st.Sentence = thereIs(s)
	if s.Waiters == 0 {
		st.Waiting = "no job is waiting"
	}
	h.core.Instances(func(v scaler.InstanceView) bool {
		st.Instances = append(st.Instances, h.instanceState(&v))
		if v.State == record.Ready && len(v.Leases) == 0 {
			st.Idle = append(st.Idle, h.idle(&v))
		}
		return true
	})
	h.core.Waiters(func(w scaler.WaitView) bool {
		st.Waiters = append(st.Waiters, Waiter{
			Key: string(w.Key), Position: w.Position, Cause: w.Cause.String(), Seconds: w.For.Seconds(),
			Sentence: fmt.Sprintf("waits since %s (%s) %s", h.clock(h.at.Add(-w.For)), words.Span(w.For), observe.Wait(w.Cause)),
		})
		return true
	})
	st.Next = h.coming()
	return st
}

// thereIs counts the instances by state. States without instances are left out.
func thereIs(s *scaler.Summary) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(s.Ready, fmt.Sprintf("ready (%d of them idle)", s.Idle))
	add(s.Preparing, "preparing")
	add(s.Creating, "creating")
	add(s.Draining, "draining")
	add(s.Deleting, "deleting")
	add(s.Unclaimed, "unclaimed")
	add(s.Requested, "requested but not listed yet")
	add(s.Doubt, "no longer expected, but may still appear")
	text := words.Count(s.Creating+s.Preparing+s.Ready+s.Draining+s.Deleting+s.Unclaimed, "instance")
	if s.MaxInstances > 0 {
		text += fmt.Sprintf(" of at most %d", s.MaxInstances)
	} else {
		text += " (no limit)"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text + fmt.Sprintf("; %s, %d waiting, %s", words.Count(s.Leases, "lease"), s.Waiters, words.Count(s.Reservations, "reservation"))
}

func (h *History) instanceState(v *scaler.InstanceView) InstanceState {
	at := func(ns int64) time.Time { return time.Unix(0, ns).In(h.opts.Location) }
	out := InstanceState{ID: string(v.ID), State: v.State.String(), Since: at(v.SinceAt), Uses: v.Uses, Leases: []string{}}
	text := fmt.Sprintf("%s since %s", v.State, h.clock(out.Since))
	if v.Cause != record.CauseNone {
		out.Cause = v.Cause.String()
		text += ": " + observe.Retire(v.Cause)
	}
	for i, l := range v.Leases {
		out.Leases = append(out.Leases, string(l.Key))
		if i < mostLeases {
			text += fmt.Sprintf("; slot %d leased to %q since %s", l.Slot, l.Key, h.clock(at(l.At)))
			if l.Detached {
				text += ", whose caller is disconnected"
			}
		}
	}
	if more := len(v.Leases) - mostLeases; more > 0 {
		text += fmt.Sprintf("; %d more leases", more)
	}
	if v.State == record.Unclaimed {
		text += "; the state has no record of it: set adopt_preexisting to adopt or remove it"
	}
	if v.State == record.Ready && v.Listed != fleet.ListedRunning {
		text += fmt.Sprintf("; in the provider's latest list it is %s, so it gets no lease", v.Listed)
	}
	out.Sentence = text
	return out
}

// mostLeases is the largest number of leases that are named for one instance.
const mostLeases = 8

// idle says why an instance without a lease is not removed yet.
func (h *History) idle(v *scaler.InstanceView) IdleInstance {
	s, cfg := &h.sum, h.core.Config()
	since := time.Unix(0, v.IdleAt).In(h.opts.Location)
	out := IdleInstance{ID: string(v.ID), Since: since}
	span := s.Active.Settings.IdleTime
	frees := cfg.Capacity
	if cfg.MaxUses > 0 {
		frees = min(frees, max(cfg.MaxUses-v.Uses, 0))
	}
	left := s.Supply - frees
	may := since.Add(span)
	text := fmt.Sprintf("idle since %s", h.clock(since))
	switch {
	case v.Listed != fleet.ListedRunning:
		text += fmt.Sprintf("; in the provider's latest list it is %s, so it gets no lease and does not count as supply", v.Listed)
	case v.Claims > 0:
		text += fmt.Sprintf("; it stays: %s", claimed(v.Claims))
	case s.Shutdown:
		text += "; it stays: the manager is shutting down and does not delete its instances"
	case s.Paused && v.Origin != record.Created:
		text += "; it stays: this manager did not create it, and such deletes are paused, because another manager seems to use the group"
	case !s.Started:
		text += "; it stays: the provider's first list has not arrived yet"
	case s.Above > 0:
		text += fmt.Sprintf("; %s than %s allows: an idle one goes after idle_time (%s)", words.Plural(s.Above, "more instance exists", "more instances exist"),
			observe.LimitName(s.MaxInstances, cfg.MaxInstances), words.Span(span))
		out.MayGo = h.shrinks(may)
	case left < s.Decision.Needed:
		text += fmt.Sprintf("; it stays: %s needed now, supply without it %d", words.Count(s.Decision.Needed, "slot"), left)
	case left < s.Peak:
		text += fmt.Sprintf("; it stays: up to %s needed in the last %s (idle_time), supply without it %d", words.Count(s.Peak, "slot"),
			words.Span(span), left)
		out.MayGo = h.shrinks(may)
	default:
		text += fmt.Sprintf("; it stays until it has been idle for idle_time (%s)", words.Span(span))
		out.MayGo = h.shrinks(may)
	}
	if out.MayGo != nil {
		text += "; it may be removed at " + h.clock(*out.MayGo)
	}
	out.Sentence = text
	return out
}

func claimed(n int) string {
	if n == 1 {
		return "1 of its slots is claimed by a reservation"
	}
	return fmt.Sprintf("%d of its slots are claimed by reservations", n)
}

// shrinks returns the earliest removal of an instance whose own idle_time ends at may. No instance is removed before the core's next removal.
func (h *History) shrinks(may time.Time) *time.Time {
	if at := h.core.Ahead().Shrink; at > 0 {
		if first := h.at.Add(at - h.now.Mono); first.After(may) {
			may = first
		}
	}
	return &may
}
