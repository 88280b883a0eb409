package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestWhoFoundItUnhealthy: the facts about an unhealthy instance name the event that said so, with its failure, in each situation.
func TestWhoFoundItUnhealthy(t *testing.T) {
	ill := failure.Failure{Kind: failure.Unhealthy, Message: "on fire"}
	for name, tc := range map[string]struct {
		end  func(r *rig)
		by   EventKind
		kind failure.Kind
	}{
		"the provider, in a heartbeat": {func(r *rig) {
			r.fail = func(cmd Command) (failure.Failure, bool) { return ill, false }
			r.run(time.Minute)
		}, EvBeat, failure.Unhealthy},
		"failed heartbeats": {func(r *rig) {
			r.fail = func(cmd Command) (failure.Failure, bool) { return failure.Failure{Kind: failure.Transient}, false }
			r.run(3 * time.Minute)
		}, EvBeat, failure.Transient},
		"a caller": {func(r *rig) {
			r.do(Event{Kind: EvRelease, Key: "b", Ticket: 99, Cause: record.CauseUnhealthy, Failure: ill})
		}, EvRelease, failure.Unhealthy},
		"the shell": {func(r *rig) {
			r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy, Failure: ill})
		}, EvUnhealthy, failure.Unhealthy},
		"lists": {func(r *rig) {
			r.cloud["i-1"].word = fleet.ListedCreating
			r.run(16 * time.Minute)
		}, EvChanged, failure.None},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxInstances, c.Heartbeat = 2, 1, name != "lists" }))
			r.acquire("a")
			r.acquire("b")
			r.run(20 * sec)
			r.facts = nil
			tc.end(r)
			for _, kind := range []FactKind{FactRetire, FactRevoke} {
				all := r.factsOf(kind)
				if len(all) == 0 || all[0].Cause != record.CauseUnhealthy || all[0].By != tc.by || all[0].Failure.Kind != tc.kind {
					t.Errorf("%s: %+v, want by %d, kind %v", kind, all, tc.by, tc.kind)
				}
			}
			for _, f := range r.factsOf(FactFruitless) {
				if f.By != tc.by || f.Failure.Kind != tc.kind {
					t.Errorf("the early failure: %+v", f)
				}
			}
		})
	}
}

// TestNeverAnsweredIsNotAccepted: a create whose call failed with an unknown outcome was not accepted, one that was answered was.
func TestNeverAnsweredIsNotAccepted(t *testing.T) {
	for name, accepted := range map[string]bool{"accepted": true, "not answered": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, conf())
			r.every, r.listAt = 0, 1<<62 // no list rules the create out
			r.answer = func(_ Command, ev *Event) int { return 0 }
			r.hold[CmdIncrease] = !accepted
			r.acquire("a")
			r.run(11 * time.Minute)
			for _, kind := range []FactKind{FactIntent, FactFruitless} {
				if all := r.factsOf(kind); len(all) == 0 || all[0].On != accepted {
					t.Errorf("%s: %+v", kind, all)
				}
			}
		})
	}
}

// TestAlarmSaysWhetherTheDeleteWasAccepted: an instance whose delete was accepted could be deleted; it is only not known to be gone.
func TestAlarmSaysWhetherTheDeleteWasAccepted(t *testing.T) {
	for name, accepted := range map[string]bool{"accepted": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, conf())
			r.acquire("a")
			r.run(20 * sec)
			r.dying = 100 * time.Hour
			if !accepted {
				r.fail = func(cmd Command) (failure.Failure, bool) { return failure.Failure{Kind: failure.Config}, false }
			}
			r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
			r.run(2 * time.Hour)
			if all := r.factsOf(FactAlarm); len(all) != 1 || all[0].On != accepted {
				t.Errorf("alarms: %+v", all)
			}
		})
	}
}
