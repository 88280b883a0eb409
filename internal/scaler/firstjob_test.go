package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestFirstJobLosesItsInstance: an instance that goes under its first job is an early failure, in whatever way it goes. Lists confirm a loss after the
// job's lease began, and the lease ends with it. One that a job has left proves that instances work, so it does not count.
func TestFirstJobLosesItsInstance(t *testing.T) {
	listed := func(word fleet.Listed) func(r *rig, id record.ID) {
		return func(r *rig, id record.ID) { r.do(Event{Kind: EvChanged, ID: id, Listed: word}) }
	}
	for name, goes := range map[string]func(r *rig, id record.ID){
		"it vanishes":                func(r *rig, id record.ID) { delete(r.cloud, id) },
		"the provider deletes it":    listed(fleet.ListedDeleting),
		"the provider has deleted":   listed(fleet.ListedDeleted),
		"the provider gives it up":   listed(fleet.ListedTimeout),
		"it is unhealthy":            func(r *rig, id record.ID) { r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy}) },
		"its job calls it so":        func(r *rig, id record.ID) { returnAs(r, record.CauseUnhealthy) },
		"its host key is another":    func(r *rig, id record.ID) { returnAs(r, record.CauseChangedHostKey) },
		"one job of two calls it so": func(r *rig, id record.ID) { r.acquire("b"); returnAs(r, record.CauseUnhealthy) },
	} {
		for _, before := range []int{0, 1} {
			r := newRig(t, conf(func(c *Config) { c.Capacity = 2 }))
			r.acquire("a")
			r.run(15 * sec)
			for range before {
				r.release("a")
				r.acquire("a")
			}
			id, _, ok := r.core.Lease("a")
			if !ok {
				t.Fatalf("%s: no lease", name)
			}
			goes(r, id)
			r.run(5 * time.Minute)
			if got, want := len(r.factsOf(FactFruitless)), 1-before; got != want {
				t.Errorf("%s, after %d jobs: %d early failures, want %d", name, before, got, want)
			}
		}
	}
}

func returnAs(r *rig, why record.Cause) {
	r.ask(EvRelease, "a", func(ev *Event) { ev.Cause = why })
}
