package scaler_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// TestCostOfAStep: the number of records that a step touches, and the bytes of its commit in a real store, do not depend on the size of the
// fleet.
func TestCostOfAStep(t *testing.T) {
	small, large := costs(t, 1_000), costs(t, 100_000)
	if len(small) != len(large) {
		t.Fatalf("%d commits with 1,000 instances, %d with 100,000", len(small), len(large))
	}
	for n := range small {
		if small[n] != large[n] {
			t.Errorf("%s with 1,000 instances, %s with 100,000", small[n], large[n])
		}
		t.Log(small[n])
	}
}

// costs returns what each of a series of steps costs with n instances.
func costs(t *testing.T, n int) (all []string) {
	t.Helper()
	store, err := statestore.OpenBolt(t.TempDir()+"/group", statestore.BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := scaler.Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	schedule, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: n, IdleTime: 1e4 * time.Hour}}}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	saved := record.Saved{Meta: record.Meta{LastSerial: 3_000_000, LastOp: 3_000_000}}
	for k := range n {
		saved.Instances = append(saved.Instances, record.Instance{
			ID: record.ID(fmt.Sprintf("i-%07d", k)), Serial: uint64(1_000_000 + k), State: record.Ready, Origin: record.Created,
			StateAt: now.Wall.UnixNano(), IdleAt: now.Wall.UnixNano(),
		})
	}
	commit := func(c *record.Changes) statestore.CommitStats {
		if c.Empty() {
			return statestore.CommitStats{}
		}
		if err := store.Commit(context.Background(), statestore.Commit{Changes: c}); err != nil {
			t.Fatal(err)
		}
		return store.Stats()
	}
	commit(&record.Changes{Put: saved.Instances, Meta: &saved.Meta})
	core, err := scaler.New(scaler.Config{Schedule: schedule, Throttle: policy.Throttle{Limit: -1}}, saved, true, now)
	if err != nil {
		t.Fatal(err)
	}
	var b *scaler.Batch
	step := func(evs ...scaler.Event) {
		for _, ev := range evs {
			core.Step(now, ev)
		}
		b = core.Take()
		s := commit(&b.Changes)
		all = append(all, fmt.Sprintf("%d: put %d, drop %d, intents %d and %d, records %d, bytes %d, commands %d", evs[0].Kind, len(b.Changes.Put),
			len(b.Changes.Drop), len(b.Changes.PutIntents), len(b.Changes.DropIntents), s.Records, s.Bytes, len(b.Commands)))
	}
	for k := n - 1; k >= 0; k-- {
		core.Step(now, scaler.Event{Kind: scaler.EvAppeared, ID: record.ID(fmt.Sprintf("i-%07d", k)), Listed: fleet.ListedRunning})
	}
	step(scaler.Event{Kind: scaler.EvListed, Since: now.Mono})
	step(scaler.Event{Kind: scaler.EvAcquire, Key: "job", Ticket: 1}) // its instance is no longer idle, so one more is created
	if len(b.Commands) != 1 || b.Commands[0].Kind != scaler.CmdIncrease {
		t.Fatalf("commands %+v", b.Commands)
	}
	step(scaler.Event{Kind: scaler.EvIncreased, Op: b.Commands[0].Op, Count: 1})
	step(scaler.Event{Kind: scaler.EvAppeared, ID: "n-0000001", Listed: fleet.ListedRunning}, scaler.Event{Kind: scaler.EvListed, Since: now.Mono})
	prepare := b.Commands[0]
	step(scaler.Event{Kind: scaler.EvPrepared, ID: prepare.ID, Op: prepare.Op, Serial: prepare.Serial})
	step(scaler.Event{Kind: scaler.EvReserve, Key: "poll", Ticket: 2})
	step(scaler.Event{Kind: scaler.EvRelease, Key: "job", Ticket: 3})
	step(scaler.Event{Kind: scaler.EvUnhealthy, ID: "i-0000500", Cause: record.CauseUnhealthy})
	del := b.Commands[0]
	step(scaler.Event{Kind: scaler.EvDeleted, ID: del.ID, Op: del.Op, Serial: del.Serial})
	step(scaler.Event{Kind: scaler.EvMissing, ID: del.ID}, scaler.Event{Kind: scaler.EvListed, Since: now.Mono})
	now.Mono += 2 * time.Hour
	now.Wall = now.Wall.Add(2 * time.Hour)
	step(scaler.Event{Kind: scaler.EvWake})
	if len(b.Changes.Drop) != 1 {
		t.Fatalf("nothing was forgotten: %+v", b.Changes)
	}
	return all
}
