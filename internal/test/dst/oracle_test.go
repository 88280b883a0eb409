package dst

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// liar is a core that misbehaves in one way.
type liar struct {
	*scaler.Core
	step    func(ev *scaler.Event) (skip bool)
	batch   func(c *scaler.Core, b *scaler.Batch)
	summary func(s *scaler.Summary)
	lease   func() bool // the lease is hidden
	check   error
}

func (l *liar) Step(now scaler.Time, ev scaler.Event) {
	if l.step != nil && l.step(&ev) {
		ev = scaler.Event{Kind: scaler.EvWake}
	}
	l.Core.Step(now, ev)
}

func (l *liar) Take() *scaler.Batch {
	b := l.Core.Take()
	if l.batch != nil {
		l.batch(l.Core, b)
	}
	return b
}

func (l *liar) Summary() scaler.Summary {
	s := l.Core.Summary()
	if l.summary != nil {
		l.summary(&s)
	}
	return s
}

func (l *liar) Lease(key record.Key) (record.ID, int, bool) {
	if l.lease != nil && l.lease() {
		return "", 0, false
	}
	return l.Core.Lease(key)
}

func (l *liar) Check() error { return errors.Join(l.check, l.Core.Check()) }

func leaseOf(b *scaler.Batch) *scaler.Grant {
	for i := range b.Grants {
		if b.Grants[i].Kind == scaler.GrantLease {
			return &b.Grants[i]
		}
	}
	return nil
}

func without[T any](from []T, drop func(*T) bool) []T {
	return slices.DeleteFunc(from, func(t T) bool { return drop(&t) })
}

// TestOraclesFire: each oracle catches a core that breaks its invariant. The worlds and their callers are the real ones; the core is the real one
// too, but for one lie.
func TestOraclesFire(t *testing.T) {
	calls := 0
	for _, c := range []struct {
		name, invariant string
		make            func(l *liar)
	}{
		{"a slot is given twice", "1", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				g := leaseOf(b)
				if g == nil || g.Slot == 0 {
					return
				}
				for i := range b.Changes.Put {
					for n := range b.Changes.Put[i].Leases {
						if le := &b.Changes.Put[i].Leases[n]; le.Key == g.Key {
							le.Slot = 0
						}
					}
				}
				g.Slot = 0
			}
		}},
		{"a slot beyond the capacity", "1", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if g := leaseOf(b); g != nil {
					g.Slot = 77
				}
			}
		}},
		{"a use too many", "2", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if g := leaseOf(b); g != nil {
					g.Use += 1000
				}
			}
		}},
		{"uses that are forgotten", "2", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if g := leaseOf(b); g != nil {
					g.Use = 1
				}
			}
		}},
		{"a create beyond max_instances", "2", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Commands {
					if cmd := &b.Commands[i]; cmd.Kind == scaler.CmdIncrease {
						cmd.Count += 30
					}
				}
				for i := range b.Changes.PutIntents {
					b.Changes.PutIntents[i].Asked += 30
				}
			}
		}},
		{"a busy machine is deleted", "3", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if g := leaseOf(b); g != nil {
					b.Commands = append(b.Commands, scaler.Command{Kind: scaler.CmdDelete, Op: 1 << 40, ID: g.ID, Serial: g.Serial})
				}
			}
		}},
		{"a revocation without a cause", "3", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Grants {
					if b.Grants[i].Kind == scaler.GrantRevoked {
						b.Grants[i].Cause = record.CauseNone
					}
				}
			}
		}},
		{"a lease that is not committed", "4", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Changes.Put {
					b.Changes.Put[i].Leases = nil
				}
			}
		}},
		{"a lease that the books lose", "4", func(l *liar) {
			n := 0
			l.lease = func() bool { n++; return n > 50 }
		}},
		{"deletes that never leave", "5", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				b.Commands = without(b.Commands, func(c *scaler.Command) bool { return c.Kind == scaler.CmdDelete })
			}
		}},
		{"a machine that the books never learn of", "2 5", func(l *liar) {
			l.step = func(ev *scaler.Event) bool { return ev.ID == "i-1002" && ev.Kind != scaler.EvPrepared }
		}},
		{"a create without an intent", "5", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Changes.PutIntents {
					b.Changes.PutIntents[i].Asked = 0
				}
			}
		}},
		{"an end that never comes", "7", func(l *liar) {
			l.summary = func(s *scaler.Summary) { s.BackoffFor = 100 * time.Hour }
		}},
		{"a waiter that hears nothing by its deadline", "8", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				b.Grants = without(b.Grants, func(g *scaler.Grant) bool { return g.Kind == scaler.GrantDenied && g.Cause == record.CauseDeadline })
			}
		}},
		{"a refusal without a cause", "8", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Grants {
					if b.Grants[i].Kind == scaler.GrantDenied {
						b.Grants[i].Cause = record.CauseNone
					}
				}
			}
		}},
		{"a lease on a machine whose preparation failed", "9", func(l *liar) {
			l.step = func(ev *scaler.Event) bool {
				if ev.Kind == scaler.EvPrepared {
					ev.Failure = failure.Failure{}
				}
				return false
			}
		}},
		{"a lease on a machine that no list shows running", "9", func(l *liar) {
			l.step = func(ev *scaler.Event) bool {
				if ev.Kind == scaler.EvChanged || ev.Kind == scaler.EvAppeared {
					ev.Listed = fleet.ListedRunning
				}
				return ev.Kind == scaler.EvMissing
			}
		}},
		{"one that is not known to run is retired as idle", "9", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for _, f := range b.Facts {
					if f.Kind == scaler.FactAppeared {
						b.Facts = append(b.Facts, scaler.Fact{Kind: scaler.FactRetire, Cause: record.CauseIdle, ID: f.ID})
					}
				}
			}
		}},
		{"chance in the core", "10", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if calls++; calls%701 == 0 {
					b.Wake++
				}
			}
		}},
		{"a supply that is not there", "sizing", func(l *liar) {
			l.summary = func(s *scaler.Summary) { s.Supply += s.Draining }
		}},
		{"a create in doubt that is asked for again", "2", func(l *liar) {
			unsure := uint64(0)
			l.step = func(ev *scaler.Event) bool {
				if unsure = 0; ev.Kind == scaler.EvIncreased && ev.Failure.Kind == failure.Transient {
					unsure = ev.Op
				}
				return false
			}
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if unsure != 0 {
					b.Changes.DropIntents = append(b.Changes.DropIntents, unsure)
				}
			}
		}},
		{"a request that is answered twice", "answers", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if len(b.Grants) > 0 && b.Grants[0].Kind == scaler.GrantReleased {
					b.Grants = append(b.Grants, b.Grants[0])
				}
			}
		}},
		{"a wake in the past", "wake", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) { b.Wake = 1 }
		}},
		{"a refused move", "books", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) { b.Bug = &fleet.IllegalMove{Move: "planted"} }
		}},
		{"books that do not add up", "books", func(l *liar) { l.check = errors.New("planted") }},
		{"a panic", "panic", func(l *liar) {
			l.step = func(ev *scaler.Event) bool { return ev.Kind == scaler.EvPrepared && must(ev.ID == "") }
		}},
		{"a restart that closes the breaker", "breaker", func(l *liar) {
			l.summary = func(s *scaler.Summary) { s.Breaker = false }
		}},
		{"a record that changes without a reason", "kept", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Changes.Put {
					b.Changes.Put[i].CreatedAt++
				}
			}
		}},
		{"a count of failures that is forgotten", "kept", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				if b.Changes.Meta != nil && b.Changes.Meta.Refusals > 1 {
					b.Changes.Meta.Refusals = 0
				}
			}
		}},
		{"a bad word that is not heard", "unfit", func(l *liar) {
			l.step = func(ev *scaler.Event) bool { return ev.Kind == scaler.EvUnhealthy }
		}},
		{"failed heartbeats that are not counted", "unfit", func(l *liar) {
			l.step = func(ev *scaler.Event) bool {
				if ev.Kind == scaler.EvBeat {
					ev.Failure = failure.Failure{}
				}
				return false
			}
		}},
		{"a retirement for a reason that is not so", "reason", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Facts {
					if f := &b.Facts[i]; f.Kind == scaler.FactRetire && f.Cause == record.CauseUsedUp {
						f.Cause = record.CauseProviderDeleting
					}
				}
			}
		}},
		{"a revocation for a reason that is not so", "reason", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Grants {
					if g := &b.Grants[i]; g.Kind == scaler.GrantRevoked && g.Cause == record.CauseUnhealthy {
						g.Cause = record.CauseChangedHostKey
					}
				}
			}
		}},
		{"a change of the list that is not expected", "prompt", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) { b.Expecting = false }
		}},
		{"callers for whom nothing is created", "prompt", func(l *liar) {
			l.step = func(ev *scaler.Event) bool {
				if ev.Kind == scaler.EvReload {
					cfg := *ev.Config
					cfg.Throttle = policy.Throttle{Limit: 0.0001, Burst: 1}
					ev.Config = &cfg
				}
				return false
			}
		}},
		{"callers that are not heard", "place", func(l *liar) {
			l.step = func(ev *scaler.Event) bool { return ev.Kind == scaler.EvAcquire }
		}},
		{"a pause that is too short", "pace", func(l *liar) {
			l.step = func(ev *scaler.Event) bool {
				if ev.Kind == scaler.EvIncreased && ev.Failure.Failed() && ev.Failure.Kind != failure.Transient {
					ev.Failure.Kind = failure.Unhealthy
				}
				return false
			}
		}},
		{"a pause that is too long", "pace", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Facts {
					if b.Facts[i].Kind == scaler.FactRefused {
						b.Facts[i].Took = 2 * time.Hour
					}
				}
			}
		}},
		{"a machine that a later create explains", "owner", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Facts {
					if f := &b.Facts[i]; f.Kind == scaler.FactAppeared && f.Op > 0 {
						f.Op++
					}
				}
			}
		}},
		{"a machine that is taken in for no loss", "owner", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for _, f := range b.Facts {
					if f.Kind == scaler.FactAppeared {
						b.Facts = append(b.Facts, scaler.Fact{Kind: scaler.FactAdopt, Cause: record.CauseMissing, ID: f.ID})
					}
				}
			}
		}},
		{"a delete of a machine that was not retired", "final", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				b.Facts = without(b.Facts, func(f *scaler.Fact) bool { return f.Kind == scaler.FactRetire })
			}
		}},
		{"a promise that cannot be kept", "admission", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Grants {
					if g := &b.Grants[i]; g.Kind == scaler.GrantDenied && g.Cause == record.CauseNoCapacity {
						g.Kind, g.Cause = scaler.GrantReserved, record.CauseNone
					}
				}
			}
		}},
		{"many tries while the breaker is open", "breaker", func(l *liar) {
			l.summary = func(s *scaler.Summary) { s.Breaker = true }
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				b.Facts = without(b.Facts, func(f *scaler.Fact) bool { return f.Kind == scaler.FactBreaker })
			}
		}},
		{"a preparation that no fact tells of", "told", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				b.Facts = slices.DeleteFunc(b.Facts, func(f scaler.Fact) bool { return f.Kind == scaler.FactReady })
			}
		}},
		{"a create of which facts say less", "told", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Facts {
					if f := &b.Facts[i]; f.Kind == scaler.FactCreate && f.Count > 1 {
						f.Op = 0
					}
				}
			}
		}},
		{"a failed preparation without its words", "told", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Facts {
					if f := &b.Facts[i]; f.Kind == scaler.FactPrepare {
						f.Count = 0
					}
				}
			}
		}},
		{"an age that is wrong", "told", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for i := range b.Facts {
					if f := &b.Facts[i]; f.Kind == scaler.FactGone {
						f.Took += time.Second
					}
				}
			}
		}},
		{"a create that is given up before any list", "doubt", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				for _, f := range b.Facts {
					if f.Kind == scaler.FactCreate {
						b.Facts = append(b.Facts, scaler.Fact{Kind: scaler.FactIntent, Op: f.Op, Count: 1, Cause: record.CauseMissing, Event: f.Event})
					}
				}
			}
		}},
		{"a machine that vanished young and is not counted", "young", func(l *liar) {
			l.batch = func(_ *scaler.Core, b *scaler.Batch) {
				b.Facts = without(b.Facts, func(f *scaler.Fact) bool {
					return f.Kind == scaler.FactFruitless && f.On && f.Cause == record.CauseMissing
				})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { caught(t, c.invariant, c.make) })
	}
}

func must(ok bool) bool {
	if !ok {
		panic("planted")
	}
	return ok
}

// caught plays worlds on a lying core until one is caught, which must be for breaking one of these invariants.
func caught(t *testing.T, invariant string, lie func(*liar)) {
	s := &stage{}
	for seed := uint64(1); seed <= 400; seed++ {
		o := optionsOf(seed)
		o.journal = invariant == "10"
		o.wrap = func(core *scaler.Core) Decider {
			l := &liar{Core: core}
			lie(l)
			return l
		}
		out := s.play(o)
		if out.broken == nil {
			continue
		}
		if !slices.Contains(strings.Fields(invariant), out.broken.Invariant) {
			t.Fatalf("seed %d: caught as %v, want invariant %s", seed, out.broken, invariant)
		}
		t.Logf("seed %d: %v", seed, out.broken.What)
		return
	}
	t.Fatal("400 worlds did not notice")
}

// TestSizeOracle: at rest there is what the idle target asks for, neither more nor less.
func TestSizeOracle(t *testing.T) {
	w := &world{}
	w.cfg = scaler.Config{Capacity: 2, MaxInstances: 4, Schedule: compile(policy.Policy{Settings: policy.Settings{IdleCount: 3}})}
	for name, c := range map[string]struct {
		sum  scaler.Summary
		well bool
	}{
		"two machines": {scaler.Summary{Ready: 2, Supply: 4}, true}, "one": {scaler.Summary{Ready: 1, Supply: 2}, false},
		"three": {scaler.Summary{Ready: 3, Supply: 6}, false}, "three, one promised": {scaler.Summary{Ready: 3, Supply: 6, Reservations: 1}, true},
		"all there may be": {scaler.Summary{Ready: 4, Supply: 2}, true},
	} {
		w.broken = nil
		if w.verifySize(&c.sum); (w.broken == nil) != c.well {
			t.Errorf("%s: %v", name, w.broken)
		}
	}
}

// TestPatienceOracles: the oracles of time, on doctored histories.
func TestPatienceOracles(t *testing.T) {
	at := began + time.Hour
	for name, c := range map[string]struct {
		judge     func(w *world)
		invariant string
	}{
		"lost in time":  {func(w *world) { w.judgeLost(&machine{id: "i-1", lacked: 3, lackedAt: at - 2*time.Minute}) }, ""},
		"lost by lists": {func(w *world) { w.judgeLost(&machine{id: "i-1", lacked: 2, lackedAt: at - 2*time.Minute}) }, "9"},
		"lost by time":  {func(w *world) { w.judgeLost(&machine{id: "i-1", lacked: 9, lackedAt: at - time.Minute}) }, "9"},
		"abandoned": {func(w *world) {
			w.judgeAbandoned(&job{away: at - time.Minute, patience: time.Minute}, abandonedGrant())
		}, ""},
		"too soon": {func(w *world) {
			w.judgeAbandoned(&job{away: at - time.Second, patience: time.Minute}, abandonedGrant())
		}, "4"},
		"though there": {func(w *world) { w.judgeAbandoned(&job{patience: time.Minute}, abandonedGrant()) }, "4"},
		"waited for":   {func(w *world) { w.judgeOrphan(&job{away: at - time.Minute, patience: time.Minute}) }, ""},
		"for ever":     {func(w *world) { w.judgeOrphan(&job{away: at - time.Hour, patience: time.Minute}) }, "5"},
	} {
		w := &world{lastStep: at}
		w.cfg.MissingLists, w.cfg.UpdateInterval = 3, time.Minute
		c.judge(w)
		if got := w.broken != nil; got != (c.invariant != "") || got && w.broken.Invariant != c.invariant {
			t.Errorf("%s: %v, want invariant %q", name, w.broken, c.invariant)
		}
	}
}

func abandonedGrant() *scaler.Grant {
	return &scaler.Grant{Kind: scaler.GrantRevoked, Cause: record.CauseAbandoned}
}
