package aws

import (
	"maps"
	"sync"
	"testing"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

// since returns the calls that came after before.
func since(now, before map[string]int) map[string]int {
	diff := map[string]int{}
	for call, n := range now {
		if n -= before[call]; n != 0 {
			diff[call] = n
		}
	}
	return diff
}

// TestCallsAtRest: a list is one call, and nothing else is asked, with machines or without. docs/plugins-aws.md states this and the formula below.
func TestCallsAtRest(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Max = 1000 }))
	for _, machines := range []int{0, 200} {
		if machines > 0 {
			if _, err := r.Increase(t.Context(), machines); err != nil {
				t.Fatal(err)
			}
			r.running(machines)
			r.machines.settle(t)
		}
		before := r.cloud.Calls()
		for range 20 {
			r.list()
		}
		if got := since(r.cloud.Calls(), before); !maps.Equal(got, map[string]int{describeGroups: 20}) {
			t.Errorf("20 lists of a fleet of %d at rest: %v", machines, got)
		}
	}
}

// settle waits until nothing is asked in the background.
func (m *machines) settle(t *testing.T) {
	t.Helper()
	for _, id := range idsOf(m) {
		if _, _, err := m.described.get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func idsOf(m *machines) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for id := range m.members {
		ids = append(ids, id)
	}
	return ids
}

// TestCallsOfAScaleUp: 500 machines are made, looked up by their jobs, and removed.
func TestCallsOfAScaleUp(t *testing.T) {
	const n = 500
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Max = 1000 }))
	before := r.cloud.Calls()
	if got, err := r.Increase(t.Context(), n); got != n || err != nil {
		t.Fatal(got, err)
	}
	lists := r.cloud.Calls()[describeGroups] - before[describeGroups]
	if lists > 12 {
		t.Errorf("a create made %d lists", lists)
	}
	ids := r.running(n)
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			if _, err := r.ConnectInfo(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	updates := r.cloud.Calls()[describeGroups]
	if gone, err := pluginkit.Batches(t.Context(), ids, n, r.Decrease); len(gone) != n || err != nil {
		t.Fatal(len(gone), err)
	}
	got := since(r.cloud.Calls(), before)
	r.want("one capacity for a create", got[setDesired], 1)
	r.want("one termination for each machine", got[terminate], n)
	r.want("one key for each machine that is looked up", got["ec2-instance-connect:SendSSHPublicKey"], n)
	r.want("no list for a delete", r.cloud.Calls()[describeGroups], updates)
	if d := got["ec2:DescribeInstances"]; d < n/100 || d > n/100+3 { // the list may have shown the first ones earlier
		t.Errorf("%d descriptions", d)
	}
	delete(got, setDesired)
	for _, known := range []string{terminate, describeGroups, "ec2-instance-connect:SendSSHPublicKey", "ec2:DescribeInstances"} {
		delete(got, known)
	}
	if got[activities] > 3 || len(got) > 1 {
		t.Errorf("calls that no formula has: %v", got)
	}
	r.until("empty group", func() bool { return len(r.list()) == 0 })
}
