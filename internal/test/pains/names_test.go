package pains

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// oneName makes a cloud that has one place, and gives its machine the same name each time.
func oneName(p *script, id record.ID, boot time.Duration) {
	p.cloudSays(scaler.CmdIncrease, func(scaler.Command, *scaler.Event) int {
		p.Cloud[id] = &explaintest.Machine{Boots: p.Now.Mono + boot}
		return 0
	})
}

// waited runs until key has a lease, and returns how long that took.
func (p *script) waited(key record.Key) time.Duration {
	from := p.Now.Mono
	for p.on(key) == "" && p.Now.Mono-from < time.Hour {
		p.Run(sec)
	}
	return p.Now.Mono - from
}

// TestNameIsUsedAgain: a provider uses the name of a deleted machine again at once, and the next job waits for it. The job gets the new
// machine soon, and explain says what happened if the first one had to be deleted.
func TestNameIsUsedAgain(t *testing.T) {
	for _, boot := range []time.Duration{5 * sec, 0} {
		p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances, c.MaxUses = 1, 1 })
		oneName(p, "node-a/101", boot)
		p.Acquire("first")
		p.Run(30 * sec)
		p.Acquire("second")
		p.Release("first")
		if d := p.waited("second"); d > time.Minute {
			t.Errorf("boot %v: the second job waited %v", boot, d)
		}
		if boot == 0 {
			p.says(explain.KindReturned, `node-a/101 is listed again`)
			p.says(explain.KindCreate, `1 did not appear: an instance appeared under the name of an earlier one`)
		} else {
			p.want("deletes", p.count(scaler.CmdDelete, ""), 1)
		}
		p.Acquire("third")
		p.Release("second")
		if d := p.waited("third"); d > 30*sec {
			t.Errorf("boot %v: the third job waited %v", boot, d)
		}
	}
}

// TestReplacementComesFirst: a group replaces some of its machines, and launches the new ones before it takes the old ones away. The new
// ones serve, and the pause because of unknown machines ends.
func TestReplacementComesFirst(t *testing.T) {
	for _, n := range []int{1, 3} {
		p := begin(t, policy.Settings{IdleCount: 3, IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = 6 })
		p.Run(time.Minute)
		name := func(kind string, i int) record.ID { return record.ID(fmt.Sprint(kind, i+1)) }
		for i := range n {
			p.Cloud[name("new-", i)] = &explaintest.Machine{Boots: p.Now.Mono + 5*sec}
		}
		p.Run(90 * sec)
		for i := range n {
			p.Cloud[name("i-", i)].Word = fleet.ListedDeleting
		}
		p.Run(20 * sec)
		for i := range n {
			delete(p.Cloud, name("i-", i))
		}
		p.Run(time.Minute)
		for i := range 6 {
			p.Acquire(record.Key(fmt.Sprint("job-", i)))
		}
		p.Run(2 * time.Minute)
		p.want("jobs of six that run", p.sum().Leases, 6)
		p.want("unclaimed, paused", [2]any{p.sum().Unclaimed, p.sum().Paused}, [2]any{0, false})
		p.says(explain.KindAdopt, `new-1 is adopted: the provider group replaced a lost instance`)
	}
}
