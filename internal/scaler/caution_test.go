package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestRestartInADip: the recent demand is not stored. So after a restart no instance is retired as idle before idle_time has passed again.
func TestRestartInADip(t *testing.T) {
	r := standing(t, 1, func(c *Config) {
		c.MaxInstances, c.Schedule = 4, always(policy.Settings{IdleTime: time.Minute, IdleCount: 1})
	})
	r.acquire("a", "b", "c")
	r.run(30 * sec)
	r.release("a", "b", "c")
	r.run(50 * sec)
	ready := r.sum().Ready
	r.restart(30 * sec) // by now idle for longer than idle_time
	r.run(59 * sec)
	r.want("nothing is deleted for idle_time", r.sum().Ready, ready)
	r.run(time.Minute)
	r.want("then the fleet falls to its target", r.sum().Ready, 1)
}

// TestShortAnswer: a provider that accepts fewer instances than requested, without an error, has refused the rest.
func TestShortAnswer(t *testing.T) {
	r := standing(t, 1)
	r.answer = func(_ Command, ev *Event) int {
		ev.Count = 0
		return 0
	}
	r.acquire("a", "b")
	before := len(r.commandsOf(CmdIncrease))
	r.run(10 * time.Minute)
	if n := len(r.commandsOf(CmdIncrease)) - before; n < 2 || n > 12 {
		t.Errorf("%d creates in ten minutes of silent refusals", n)
	}
	r.want("the waiter is told", r.sum().BackoffCause, record.CauseStockOut)
}

// TestDrainingHeartbeat: an instance that only serves its last jobs still gets heartbeats.
func TestDrainingHeartbeat(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances, c.Heartbeat, c.MaxUses = 2, 1, true, 0 })
	r.acquire("a", "b")
	r.do(Event{Kind: EvDetach, Key: "b"})
	r.run(31 * sec) // the caller of b does not reattach: the instance is retired while a still runs
	r.want("draining", r.state("i-1"), record.Draining)
	r.fail = func(c Command) (failure.Failure, bool) {
		if c.Kind == CmdHeartbeat {
			return failure.Failure{Kind: failure.Unhealthy}, false
		}
		return failure.Failure{}, false
	}
	r.run(2 * time.Minute)
	g := r.last("a")
	r.want("the caller of its last job is told", [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, record.CauseUnhealthy})
}

// TestHeartbeatThatWasUnderWay: the instance is retired while its heartbeat is under way. The answer, and the failures before it, still
// matter to the caller of its last job.
func TestHeartbeatThatWasUnderWay(t *testing.T) {
	for name, bad := range map[string][]failure.Failure{
		"unhealthy": {{Kind: failure.Unhealthy}}, "the last of three failures": {{Kind: failure.Transient}, {Kind: failure.Transient}, {Kind: failure.Transient}},
	} {
		r := standing(t, 1, func(c *Config) {
			c.Capacity, c.MaxInstances, c.Heartbeat, c.MaxUses, c.FailureThreshold = 2, 1, true, 0, 3
		})
		r.acquire("a", "b")
		r.hold[CmdHeartbeat] = true
		for n, f := range bad {
			r.run(11 * sec)
			beats := r.commandsOf(CmdHeartbeat)
			if n == len(bad)-1 {
				r.ask(EvRelease, "b", func(ev *Event) { ev.Cause = record.CauseDoubtful })
				r.want(name+": draining", r.state("i-1"), record.Draining)
			}
			beat := beats[len(beats)-1]
			r.do(Event{Kind: EvBeat, Op: beat.Op, ID: beat.ID, Serial: beat.Serial, Failure: f})
		}
		g := r.last("a")
		r.want(name, [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, record.CauseUnhealthy})
	}
}

// TestPauseHoldsEveryDelete: while another manager seems to be at work, an instance that is listed again after its deletion is not deleted
// either.
func TestPauseHoldsEveryDelete(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 9 })
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.run(time.Minute)
	r.want("deleted", r.state("i-1"), record.Gone)
	for range 3 {
		r.names++
		r.spawn(record.ID("x-" + string(rune('a'+r.names))))
	}
	r.run(30 * sec)
	r.want("paused", r.sum().Paused, true)
	deletes := len(r.commandsOf(CmdDelete))
	r.spawn("i-1")
	r.run(5 * time.Minute)
	r.want("state of the one that came back", r.state("i-1"), record.Deleting)
	r.want("deletes while paused", len(r.commandsOf(CmdDelete)), deletes)
	r.run(20 * time.Minute)
	r.want("later", r.state("i-1"), record.Gone)
}

// TestSlowDeleteAtShutdown: a shutdown waits for a delete that the provider accepted, however often it was sent. It only gives up refused
// ones.
func TestSlowDeleteAtShutdown(t *testing.T) {
	r := standing(t, 1)
	r.dying = 5 * time.Minute
	r.do(Event{Kind: EvShutdown, On: true})
	r.run(4 * time.Minute)
	r.want("done before it is gone", r.bt.Done, false)
	r.run(2 * time.Minute)
	r.want("state", r.state("i-1"), record.Gone)
	r.want("done", r.bt.Done, true)
}
