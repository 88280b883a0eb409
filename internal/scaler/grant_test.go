package scaler

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// standing returns a rig with n idle, ready instances.
func standing(t testing.TB, n int, edit ...func(*Config)) *rig {
	t.Helper()
	edit = append([]func(*Config){func(c *Config) {
		c.Schedule = always(policy.Settings{IdleCount: n * max(c.Capacity, 1), IdleTime: time.Minute})
	}}, edit...)
	r := newRig(t, conf(edit...))
	r.run(10 * sec)
	if s := r.sum(); s.Ready < n {
		t.Fatalf("%d of %d instances are ready: %+v", s.Ready, n, s)
	}
	return r
}

func until(d time.Duration) func(*Event) { return func(e *Event) { e.Deadline = d } }

func because(c record.Cause) func(*Event) { return func(e *Event) { e.Cause = c } }

// TestPackAndSpread: leases fill one instance before they use the next. A freed slot on the fullest instance is used first.
func TestPackAndSpread(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxInstances = 3, 2 }, withPolicy(policy.Settings{IdleCount: 6, IdleTime: time.Minute})))
	r.run(10 * sec)
	got := map[record.ID]int{}
	for n := range 3 {
		got[r.acquire(record.Key(fmt.Sprint("k", n))).ID]++
	}
	r.want("instances used by three leases of three slots", len(got), 1)
	first := r.last("k0").ID
	g := r.acquire("k3")
	if g.ID == first || g.Kind != GrantLease || g.Slot != 0 || g.Use != 1 || g.Waited != 0 {
		t.Errorf("the fourth lease: %+v", g)
	}
	r.release("k1")
	if g := r.acquire("k4"); g.ID != first || g.Slot != 1 || g.Use != 4 {
		t.Errorf("want the freed slot of the fullest instance: %+v", g)
	}
	r.want("leases", r.sum().Leases, 4)
	r.want("slots open", r.sum().OpenSlots, 2)
}

// TestFirstComeFirstServed: waiters are served in the order of their arrival. Each is told how long it waited.
func TestFirstComeFirstServed(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	for _, k := range []record.Key{"a", "b", "c"} {
		if g := r.acquire(k); g.Kind != 0 {
			t.Fatalf("%s was answered at once: %+v", k, g)
		}
		r.run(sec)
	}
	for n, v := range collect(r.core.Waiters) {
		r.want("position", v.Position, n+1)
		r.want("key", v.Key, []string{"a", "b", "c"}[n])
	}
	r.run(10 * sec)
	r.want("first", r.leaseOf("a"), "i-1/0")
	r.want("first waited for a boot", r.last("a").Waited, 5*sec)
	r.want("still waiting", r.sum().Waiters, 2)
	r.release("a")
	r.want("second", r.leaseOf("b"), "i-1/0")
	r.release("b")
	r.want("third", r.leaseOf("c"), "i-1/0")
	r.want("third waited", r.last("c").Waited, 11*sec)
	r.want("created", len(r.made), 1)
}

func collect[V any](seq func(func(V) bool)) (all []V) {
	seq(func(v V) bool {
		all = append(all, v)
		return true
	})
	return all
}

// TestWaiterDeadlineAndCancel: each waiter is answered once, with the cause, and leaves no demand behind.
func TestWaiterDeadlineAndCancel(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	r.boot = time.Hour
	r.ask(EvAcquire, "a", until(r.now.Mono+30*sec))
	r.ask(EvAcquire, "b")
	bTicket := r.ticket
	r.run(30*sec - 1)
	r.want("waiters just before the deadline", r.sum().Waiters, 2)
	r.run(1)
	r.want("answer at the deadline", [2]any{r.last("a").Kind, r.last("a").Cause}, [2]any{GrantDenied, record.CauseDeadline})
	r.do(Event{Kind: EvCancel, Key: "b", Ticket: bTicket + 99})
	r.want("a cancel with another ticket", r.sum().Waiters, 1)
	r.do(Event{Kind: EvCancel, Key: "b", Ticket: bTicket})
	r.want("cancelled", [2]any{r.last("b").Cause, r.last("b").Ticket}, [2]any{record.CauseCancelled, bTicket})
	r.want("waiters", r.sum().Waiters, 0)
	r.do(Event{Kind: EvCancel, Key: "b", Ticket: bTicket})
	n := 0
	for _, g := range r.grants {
		if g.Key == "b" {
			n++
		}
	}
	r.want("answers to b", n, 1)
	if _, waits := r.core.Wait("b"); waits {
		t.Error("Wait says that b still waits")
	}
	r.cloud["i-1"].boots = r.now.Mono
	r.run(3 * time.Minute)
	r.want("instances when no caller waits any more", r.sum().Ready, 0)
}

// TestKeys: a key has only one lease, wait or reservation at a time. Requests about unknown keys are answered and harmless.
func TestKeys(t *testing.T) {
	r := standing(t, 2)
	r.acquire("a")
	denied := func(what string, g Grant, why record.Cause) {
		t.Helper()
		if g.Kind != GrantDenied || g.Cause != why {
			t.Errorf("%s: %+v, want denied: %s", what, g, why)
		}
	}
	denied("a second lease", r.acquire("a"), record.CauseDuplicate)
	denied("a reservation beside a lease", r.ask(EvReserve, "a"), record.CauseDuplicate)
	r.want("reservation", r.ask(EvReserve, "r").Kind, GrantReserved)
	denied("a second reservation", r.ask(EvReserve, "r"), record.CauseDuplicate)
	denied("release of nothing", r.ask(EvRelease, "x"), record.CauseUnknownKey)
	denied("replace of nothing", r.ask(EvReplace, "x"), record.CauseUnknownKey)
	denied("reattach of nothing", r.ask(EvReattach, "x"), record.CauseUnknownKey)
	r.release("a")
	denied("a second release", r.ask(EvRelease, "a"), record.CauseUnknownKey)
	r.do(Event{Kind: EvUnreserve, Key: "nobody"}, Event{Kind: EvDetach, Key: "nobody"})
	r.do(Event{Kind: EvUnreserve, Key: "r"}, Event{Kind: EvUnreserve, Key: "r"})
	r.want("reservations", r.sum().Reservations, 0)
}

// TestReservationsArePromises: without preemptive mode, as many reservations are admitted as max_instances can hold. They are no demand.
func TestReservationsArePromises(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxInstances, c.ReservationDeadline = 2, 2, 20*sec }))
	for n := range 4 {
		r.want("reservation", r.ask(EvReserve, record.Key(fmt.Sprint("r", n))).Kind, GrantReserved)
	}
	g := r.ask(EvReserve, "r4")
	r.want("one too many", [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CauseNoCapacity})
	r.run(10 * sec)
	r.want("created for reservations alone", len(r.made), 0)
	r.acquire("r0")
	r.want("created for a job", len(r.made), 1)
	r.want("reservations", r.sum().Reservations, 3)
	r.run(11 * sec)
	r.want("reservations beyond their deadline", r.sum().Reservations, 0)
	r.want("facts of it", len(r.factsOf(FactDeny)), 3)
}

// TestPreemptive: a reservation holds a free slot that no other key gets, and its instance is not retired.
func TestPreemptive(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 3 }, withPolicy(policy.Settings{IdleCount: 1, IdleTime: 20 * sec, Preemptive: true})))
	g := r.ask(EvReserve, "early")
	r.want("before anything is ready", [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CauseNoCapacity})
	r.run(10 * sec)
	r.want("with a ready one", r.ask(EvReserve, "mine").Kind, GrantReserved)
	r.want("claimed", r.sum().Claimed, 1)
	r.want("a second on the same slot", r.ask(EvReserve, "other").Kind, GrantDenied)
	if g := r.acquire("thief"); g.Kind != 0 {
		t.Errorf("the claimed slot went to another key: %+v", g)
	}
	r.run(10 * sec)
	r.want("the thief got one of its own", r.leaseOf("thief") != "" && r.leaseOf("thief") != "i-1/0", true)
	r.want("the claimant", r.acquire("mine").ID, "i-1")
	r.want("claims", r.sum().Claimed, 0)
	r.release("mine", "thief")
	none := newRig(t, conf(withPolicy(policy.Settings{IdleTime: 20 * sec, Preemptive: true})))
	g = none.ask(EvReserve, "r")
	none.want("preemptive without idle_count", [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CausePolicy})
}

// TestClaimIsNotRetired: the longest idle instance is retired, unless a reservation claims a slot of it. A reservation that lost its claim
// stays valid.
func TestClaimIsNotRetired(t *testing.T) {
	r := standing(t, 2, withPolicy(policy.Settings{IdleCount: 2, IdleTime: 20 * sec, Preemptive: true}))
	r.ask(EvReserve, "mine")
	claimed := r.core.reg.Reservation("mine").Claim.ID
	cfg := r.cfg
	cfg.Schedule = always(policy.Settings{IdleCount: 0, IdleTime: 20 * sec, Preemptive: true})
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.run(time.Minute)
	r.want("the claimed instance", r.state(claimed), record.Ready)
	r.want("ready", r.sum().Ready, 1)
	r.do(Event{Kind: EvUnhealthy, ID: claimed, Cause: record.CauseUnhealthy})
	r.want("reservations", r.sum().Reservations, 1)
	r.want("claims", r.sum().Claimed, 0)
	r.run(time.Minute)
	r.want("it expires in the end", r.sum().Ready, 0)
	r.acquire("mine")
	r.run(10 * sec)
	r.want("without the claim it waits like others", r.leaseOf("mine") != "", true)
}

// TestMaxUses: an instance is used max_use_count times, over all its slots together, and then replaced.
func TestMaxUses(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxUses, c.MaxInstances = 2, 3, 2 },
		withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Minute})))
	r.run(10 * sec)
	r.acquire("a")
	r.acquire("b")
	r.release("a", "b")
	g := r.acquire("c")
	r.want("third use", [2]any{g.ID, g.Use}, [2]any{"i-1", 3})
	r.want("a used up instance is open", r.core.reg.Get("i-1").Open(), 0)
	r.release("c")
	r.want("after its last use", r.state("i-1"), record.Deleting)
	retired := r.factsOf(FactRetire)
	r.want("cause", retired[len(retired)-1].Cause, record.CauseUsedUp)
	r.run(20 * sec)
	r.want("its successor", r.sum().Idle, 1)
	uses := map[record.ID]int{}
	for _, g := range r.grants {
		if g.Kind == GrantLease {
			uses[g.ID]++
		}
	}
	r.want("uses of the first", uses["i-1"], 3)
}

// TestReplace: the lease moves to another instance, never to the same one.
func TestReplace(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 2 }))
	r.acquire("a")
	r.run(10 * sec)
	r.want("lease", r.leaseOf("a"), "i-1/0")
	if g := r.ask(EvReplace, "a"); g.Kind != 0 {
		t.Fatalf("replaced at once: %+v", g)
	}
	r.acquire("b")
	r.want("the one it left serves the next", r.leaseOf("b"), "i-1/0")
	r.run(10 * sec)
	r.want("its new one", r.leaseOf("a"), "i-2/0")
	r.do(Event{Kind: EvDrain, On: true})
	g := r.ask(EvReplace, "a")
	r.want("while draining", [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CauseDraining})
	r.want("the lease stands", r.leaseOf("a"), "i-2/0")
}

// TestReleaseUnhealthy: a release as unhealthy takes the instance out of service at once.
func TestReleaseUnhealthy(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances = 2, 1 })
	r.acquire("a", "b")
	r.ask(EvRelease, "a", because(record.CauseChangedHostKey))
	g := r.last("b")
	r.want("its neighbour", [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, record.CauseChangedHostKey})
	r.want("the instance", r.state("i-1"), record.Deleting)
	r.want("cause", r.core.reg.Get("i-1").Cause, record.CauseChangedHostKey)
	r.want("leases", r.sum().Leases, 0)
}

// TestReserveKnowsEveryLimit: reservations promise no more slots than the lower of our limit and the provider's allows, and a slot that is
// leased or waited for is not promised again.
func TestReserveKnowsEveryLimit(t *testing.T) {
	for _, c := range []struct{ ours, theirs int }{{2, 0}, {0, 2}, {10, 2}, {2, 10}} {
		r := newRig(t, conf(func(cfg *Config) { cfg.Capacity, cfg.MaxInstances, cfg.ProviderMax = 2, c.ours, c.theirs }))
		r.acquire("leased")
		r.run(10 * sec)
		r.boot = time.Hour
		r.acquire("leased too", "waits")
		r.want("leases, waiters", [2]int{r.sum().Leases, r.sum().Waiters}, [2]int{2, 1})
		r.want(fmt.Sprint("the last slot of ", c), r.ask(EvReserve, "a").Kind, GrantReserved)
		g := r.ask(EvReserve, "b")
		r.want(fmt.Sprint("one more than the slots of ", c), [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CauseNoCapacity})
	}
}

// TestReleaseDoubtful: an instance that did not answer one caller gets no new lease. It keeps its other leases, and no failed boot is counted.
func TestReleaseDoubtful(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances = 3, 1 })
	r.acquire("a", "b")
	r.ask(EvRelease, "a", because(record.CauseDoubtful))
	r.want("its neighbour", r.leaseOf("b"), "i-1/1")
	i := r.core.reg.Get("i-1")
	r.want("the instance", [2]any{i.State, i.Cause}, [2]any{record.Draining, record.CauseDoubtful})
	r.want("failed boots", r.sum().DiedYoung, 0)
	r.acquire("c")
	r.want("the next caller", r.leaseOf("c"), "")
	r.ask(EvRelease, "b")
	r.want("after its last lease", r.state("i-1"), record.Deleting)
}
