package scaler

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestRetryAfter: a provider says when to try again, within reason: neither at once without end, nor in a week.
func TestRetryAfter(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{
		math.MinInt64: time.Minute, 0: time.Minute, 1: time.Minute, 5 * time.Minute: 5 * time.Minute, 100 * time.Hour: maxRest, math.MaxInt64: maxRest,
	} {
		f := failure.Failure{Kind: failure.Throttled, RetryAfter: after}
		r := standing(t, 1)
		r.fail = func(Command) (failure.Failure, bool) { return f, false }
		r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
		r.settle()
		r.run(want - sec)
		r.want(fmt.Sprint("deletes before ", want), len(r.commandsOf(CmdDelete)), 1)
		r.run(2 * sec)
		r.want(fmt.Sprint("deletes after ", want), len(r.commandsOf(CmdDelete)), 2)
		r.fail = nil
		r.run(maxRest + time.Minute)
		r.want("when the provider works again", r.state("i-1"), record.Gone)

		r = standing(t, 1)
		r.fail = func(Command) (failure.Failure, bool) { return f, false }
		r.do(Event{Kind: EvShutdown, On: true})
		r.settle()
		r.run(maxShutdownRest*2 + sec)
		r.want(fmt.Sprint("deletes of a shutdown, retry after ", after), len(r.commandsOf(CmdDelete)) >= 3, true)
		r.want("done", r.bt.Done, true)
	}
	for after, want := range map[time.Duration]time.Duration{
		math.MinInt64: 2 * sec, 1: 2 * sec, 30 * sec: 30 * sec, 100 * time.Hour: time.Hour, math.MaxInt64: time.Hour,
	} {
		r := newRig(t, conf())
		r.answer = func(_ Command, ev *Event) int {
			ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Throttled, RetryAfter: after}
			return 0
		}
		r.acquire("a")
		r.want(fmt.Sprint("back-off of creates, retry after ", after), [2]any{r.sum().BackoffFor, r.factsOf(FactRefused)[0].Took}, [2]any{want, want})
	}
	refusals := 0
	short := newRig(t, conf())
	short.answer = func(_ Command, ev *Event) int {
		refusals++
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Throttled, RetryAfter: 3 * sec}
		return 0
	}
	short.acquire("a")
	short.run(10 * sec)
	short.want("tries in ten seconds with a rest of three, however often it was refused", refusals, 4)
	r := newRig(t, conf())
	r.hold[CmdPrepare] = true
	r.acquire("a")
	r.run(10 * sec)
	cmd := r.held[0]
	r.do(Event{Kind: EvPrepared, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial, Failure: failure.Failure{Kind: failure.Throttled, RetryAfter: math.MaxInt64}})
	prepares := len(r.commandsOf(CmdPrepare))
	r.run(maxRest - sec)
	r.want("preparations", len(r.commandsOf(CmdPrepare)), prepares)
	r.run(2 * sec)
	r.want("preparations", len(r.commandsOf(CmdPrepare)), prepares+1)
}

// TestTinyThrottle: a throttle that allows no second create in a lifetime does not keep the core busy, in a restored core neither.
func TestTinyThrottle(t *testing.T) {
	for _, limit := range []float64{1e-11, 1e-100, math.SmallestNonzeroFloat64} {
		r := newRig(t, conf(func(c *Config) { c.Throttle = policy.Throttle{Limit: limit, Burst: 2} }))
		for range 2 {
			r.acquire(record.Key(fmt.Sprint("a", len(r.grants), r.ticket)), record.Key(fmt.Sprint("b", r.ticket)), record.Key(fmt.Sprint("c", r.ticket)))
			r.want("waits for", r.sum().WaitCause, record.CauseThrottle)
			r.every = 0
			r.run(10 * sec)
			if left := r.bt.Wake - r.now.Mono; r.bt.Wake != 0 && left < time.Second {
				t.Errorf("limit %v: the core wakes again in %v", limit, left)
			}
			s := r.core.Snapshot()
			if _, err := Resume(&s); err != nil {
				t.Error(err)
			}
			r.restart(time.Hour)
			r.want("created in all", len(r.made), 2)
		}
	}
}

// TestOutageOfTheChecker: failing heartbeats of a whole fleet are more likely the fault of the check. They condemn nobody while lists fail
// too, and need four times as many failures while most instances fail together. One instance that fails alone is judged as always.
func TestOutageOfTheChecker(t *testing.T) {
	fleet := func(ill map[record.ID]bool) *rig {
		r := standing(t, 6, func(c *Config) { c.Heartbeat, c.FailureThreshold, c.MaxInstances = true, 3, 6 })
		r.acquire("a", "b", "c", "d", "e", "f")
		r.run(15 * sec)
		r.fail = func(cmd Command) (failure.Failure, bool) {
			if cmd.Kind == CmdHeartbeat && (len(ill) == 0 || ill[cmd.ID]) {
				return failure.Failure{Kind: failure.Transient, Message: "the API is down"}, false
			}
			return failure.Failure{}, false
		}
		return r
	}
	r := fleet(nil)
	r.every = 0
	for range 60 { // lists fail too, for ten minutes
		r.do(Event{Kind: EvListFailed, Failure: failure.Failure{Kind: failure.Transient}})
		r.run(10 * sec)
	}
	r.want("leases after an outage of all calls", r.sum().Leases, 6)
	r.every = sec
	r.fail = nil
	r.run(time.Minute)
	r.want("leases", r.sum().Leases, 6)

	r = fleet(nil)
	r.run(90 * sec)
	r.want("leases after nine failures of all", r.sum().Leases, 6)
	r.fail = nil
	r.run(time.Minute)
	r.want("leases", r.sum().Leases, 6)

	r = fleet(nil)
	r.run(140 * sec)
	r.want("leases when all have failed for long", r.sum().Leases, 0)

	r = fleet(map[record.ID]bool{"i-2": true})
	r.run(45 * sec)
	r.want("leases when one fails", r.sum().Leases, 5)
	r.want("it", r.state("i-2") >= record.Draining, true)
	r.want("instances that fail, without it", r.core.ailing, 0)

	r = fleet(map[record.ID]bool{"i-1": true, "i-2": true, "i-3": true, "i-4": true})
	r.run(45 * sec)
	r.want("leases when four of six fail", r.sum().Leases, 6)
	four := r.fail
	r.fail = func(cmd Command) (failure.Failure, bool) {
		if cmd.ID == "i-4" || cmd.ID == "i-3" { // two recover: the other two are ill
			return failure.Failure{}, false
		}
		return four(cmd)
	}
	r.run(30 * sec)
	r.want("leases when two of six fail", r.sum().Leases, 4)
}
