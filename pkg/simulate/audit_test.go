package simulate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func put(rs ...record.Instance) scaler.Batch {
	return scaler.Batch{Changes: record.Changes{Put: rs}}
}

func rec(id record.ID, s record.State, uses int, leases ...record.Lease) record.Instance {
	return record.Instance{ID: id, Serial: 1, State: s, Uses: uses, Leases: leases}
}

func lease(key record.Key, slot int) record.Lease { return record.Lease{Key: key, Slot: slot} }

func create(op uint64, n int) scaler.Batch {
	return scaler.Batch{Changes: record.Changes{PutIntents: []record.Intent{{Op: op, Asked: n, Open: n}}},
		Commands: []scaler.Command{{Kind: scaler.CmdIncrease, Op: op, Count: n}}}
}

// TestAuditorFires: each breach is found, and named.
func TestAuditorFires(t *testing.T) {
	del := put(rec("i", record.Draining, 1, lease("a", 0)))
	del.Commands = []scaler.Command{{Kind: scaler.CmdDelete, ID: "i"}}
	prep := put(rec("i", record.Creating, 0))
	prep.Commands = []scaler.Command{{Kind: scaler.CmdPrepare, ID: "i"}}
	told := put(rec("i", record.Ready, 1, lease("a", 0)))
	told.Grants = []scaler.Grant{{Kind: scaler.GrantLease, Key: "a", ID: "i", Serial: 1, Slot: 1}}
	unasked := create(1, 2)
	unasked.Commands[0].Count = 3
	for _, c := range []struct {
		name, want string
		batches    []scaler.Batch
	}{
		{"a slot twice", "invariant 1: slot 0 of i is leased twice", []scaler.Batch{put(rec("i", record.Ready, 2, lease("a", 0), lease("b", 0)))}},
		{"a slot beyond capacity", "invariant 1: i has a lease on slot 2 of 2", []scaler.Batch{put(rec("i", record.Ready, 1, lease("a", 2)))}},
		{"too many leases", "invariant 1: i holds 3 leases, capacity 2",
			[]scaler.Batch{put(rec("i", record.Ready, 3, lease("a", 0), lease("b", 1), lease("c", 1)))}},
		{"a key twice", `invariant 1: "a" holds i and j`, []scaler.Batch{put(rec("i", record.Ready, 1, lease("a", 0))), put(rec("j", record.Ready, 1, lease("a", 0)))}},
		{"too many uses", "invariant 2: i has 6 uses of 5", []scaler.Batch{put(rec("i", record.Ready, 6))}},
		{"uses given back", "invariant 2: uses of i fell from 2 to 1", []scaler.Batch{put(rec("i", record.Ready, 2)), put(rec("i", record.Ready, 1))}},
		{"too many instances", "invariant 2: 4 exist after a create, of 3", []scaler.Batch{put(rec("i", record.Ready, 0)), create(1, 3)}},
		{"a delete under a lease", "invariant 3: delete of i, which is draining with 1 leases", []scaler.Batch{del}},
		{"a lease on what is gone", "invariant 3: i is gone with 1 leases", []scaler.Batch{put(rec("i", record.Gone, 1, lease("a", 0)))}},
		{"told of a slot that it has not", `invariant 4: "a" was told of slot 1 of i`, []scaler.Batch{told}},
		{"forgotten alive", "invariant 5: i was forgotten as ready",
			[]scaler.Batch{put(rec("i", record.Ready, 0)), {Changes: record.Changes{Drop: []record.ID{"i"}}}}},
		{"a create without its intent", "invariant 5: a create of 3", []scaler.Batch{unasked}},
		{"an overdrawn throttle", "invariant 6: 2 creates overdraw", []scaler.Batch{create(1, 1), create(2, 2)}},
		{"a new lease on a draining one", `invariant 9: "b" was given i, which is draining`,
			[]scaler.Batch{put(rec("i", record.Draining, 1, lease("a", 0))), put(rec("i", record.Draining, 2, lease("a", 0), lease("b", 1)))}},
		{"prepared too early", "i is prepared in state creating", []scaler.Batch{prep}},
		{"sums", "the core counts 0 ready, the records have 1", []scaler.Batch{put(rec("i", record.Ready, 0))}},
	} {
		cfg := scaler.Config{Capacity: 2, MaxUses: 5, MaxInstances: 3, Throttle: policy.Throttle{Limit: 0.001, Burst: 2}}
		core, err := scaler.New(cfg, record.Saved{}, true, scaler.Time{Wall: start})
		if err != nil {
			t.Fatal(err)
		}
		a := newAuditor(core, cfg)
		var found error
		for n := range c.batches {
			found = a.check(&c.batches[n], time.Duration(n))
		}
		if found == nil || !strings.Contains(found.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, found, c.want)
		}
	}
}

// TestAuditedRun: a load in which machines are used up, reclaimed and refused passes the audit, and the audit changes nothing.
func TestAuditedRun(t *testing.T) {
	o := Options{
		Group: Group{CapacityPerInstance: 3, MaxUseCount: 7, MaxInstances: 30, Throttle: policy.Throttle{Limit: 0.5, Burst: 5},
			Policies: schedule(t, policy.Settings{IdleCount: 4, IdleTime: 5 * time.Minute, ScaleFactor: 0.5})},
		Start: start, Seed: 5,
		Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(20 * time.Second)},
	}
	jobs := poisson(3, 20_000, 0.2, 300)
	results := [2]string{}
	for n, check := range []bool{false, true} {
		o.Check = check
		r, err := Run(o, jobs.Again())
		if err != nil {
			t.Fatal(err)
		}
		results[n] = fmt.Sprint(r.Completed, r.Events, r.Cost)
	}
	if results[0] != results[1] {
		t.Errorf("unchecked %s, checked %s", results[0], results[1])
	}
}
