package explain_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

const randomKeys = 8

// random plays a random script: callers ask, stop waiting and release; instances fail; deletes and creates are refused; the manager restarts.
func random(t *testing.T, seed uint64) *explaintest.Rig {
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := explaintest.New(t, explaintest.Config(policy.Settings{IdleCount: rnd.IntN(3), IdleTime: 20 * time.Second, Preemptive: rnd.IntN(2) == 0},
		func(c *scaler.Config) {
			c.MaxInstances, c.Capacity, c.MaxUses = 1+rnd.IntN(4), 1+rnd.IntN(2), rnd.IntN(4)
			c.Throttle = policy.Throttle{Limit: 0.1 + rnd.Float64(), Burst: 1 + rnd.IntN(3)}
			c.Heartbeat, c.ReattachAfterRestart = true, 15*time.Second
		}), explain.Options{})
	kinds := []failure.Kind{failure.Transient, failure.Quota, failure.Throttled, failure.Unhealthy}
	r.Answer = func(cmd scaler.Command, ev *scaler.Event) int {
		if rnd.IntN(12) > 0 {
			return cmd.Count
		}
		ev.Failure = failure.Failure{Kind: kinds[rnd.IntN(len(kinds))], Message: "drawn"}
		if cmd.Kind == scaler.CmdIncrease {
			ev.Count = 0
		}
		return 0
	}
	asks := []scaler.EventKind{
		scaler.EvAcquire, scaler.EvAcquire, scaler.EvRelease, scaler.EvRelease, scaler.EvReserve, scaler.EvUnreserve, scaler.EvReplace, scaler.EvDetach,
		scaler.EvReattach,
	}
	for range 150 {
		key := record.Key(fmt.Sprintf("k-%d", rnd.IntN(randomKeys)))
		switch rnd.IntN(40) {
		case 0:
			r.Restart(time.Duration(rnd.IntN(30)) * time.Second)
		case 1:
			if ids := slices.Sorted(maps.Keys(r.Cloud)); len(ids) > 0 {
				m := r.Cloud[ids[rnd.IntN(len(ids))]]
				m.Away = !m.Away
			}
		case 2:
			r.Do(scaler.Event{Kind: scaler.EvDrain, On: rnd.IntN(2) == 0})
		default:
			r.Ask(asks[rnd.IntN(len(asks))], key, func(ev *scaler.Event) {
				if ev.Kind == scaler.EvAcquire && rnd.IntN(3) == 0 {
					ev.Deadline = r.Now.Mono + time.Duration(rnd.IntN(20))*time.Second
				}
			})
		}
		r.Run(time.Duration(rnd.IntN(4000)) * time.Millisecond)
	}
	return r
}

// TestWaitsAddUp: in random histories, the waits of all keys, found by following each key, add up to the total, found from the queue alone. And
// every record is complete.
func TestWaitsAddUp(t *testing.T) {
	causes := map[string]bool{}
	for seed := range uint64(25) {
		r := random(t, seed)
		now, err := explain.Answer(explain.Question{Last: 1 << 20}, r.Feed)
		if err != nil {
			t.Fatal(err)
		}
		sum := map[string]float64{}
		for k := range randomKeys {
			d, err := explain.Answer(explain.Question{Key: fmt.Sprintf("k-%d", k)}, r.Feed)
			if err != nil {
				continue // it was never drawn
			}
			for _, w := range d.Key.Waits {
				total := 0.0
				for _, s := range w.Split {
					sum[s.Cause] += s.Seconds
					total += s.Seconds
				}
				if w.To != nil && !near(total, w.To.Sub(w.From).Seconds()) {
					t.Errorf("seed %d, k-%d: a wait from %s to %s is explained for %gs", seed, k, w.From, w.To, total)
				}
			}
		}
		for _, s := range now.Waits.Split {
			if !near(sum[s.Cause], s.Seconds) {
				t.Errorf("seed %d: %s: the keys waited %gs, the queue %gs", seed, s.Cause, sum[s.Cause], s.Seconds)
			}
			delete(sum, s.Cause)
			causes[s.Cause] = true
		}
		if len(sum) > 0 {
			t.Errorf("seed %d: keys waited for what nobody waited for: %v", seed, sum)
		}
		for _, rec := range now.Decisions {
			if rec.Sentence == "" || rec.Kind == "" || rec.Time.IsZero() || len(rec.Chain) == 0 {
				t.Errorf("seed %d: %+v", seed, rec)
			}
			for i := 1; i < len(rec.Chain); i++ {
				if rec.Chain[i].Time.Before(rec.Chain[i-1].Time) {
					t.Errorf("seed %d: the chain of %q is not in order", seed, rec.Sentence)
				}
			}
		}
	}
	for _, c := range []string{"boot", "max_instances", "throttle", "quota", "back_off"} {
		if !causes[c] {
			t.Errorf("nobody ever waited for %s: the histories are too tame", c)
		}
	}
}

func near(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }
