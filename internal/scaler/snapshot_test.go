package scaler

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// copies are cores that were resumed from snapshots of one core. They step the same events, and must decide the same.
type copies struct {
	t       testing.TB
	r       *rand.Rand
	every   int // one of so many batches is followed by a snapshot, and one of so many steps by a snapshot in the middle of a batch
	of      *Core
	all     []*Core
	resumed int
	batches int
}

func (k *copies) step(c *Core, now Time, ev Event) {
	if k == nil {
		c.Step(now, ev)
		return
	}
	if c != k.of { // a new core: take its first snapshot before its first step
		k.of, k.all = c, nil
		k.snapshot()
	}
	c.Step(now, ev)
	for _, x := range k.all {
		x.Step(now, ev)
	}
	if k.r.IntN(k.every*4) == 0 && c.bug == nil {
		k.snapshot()
	}
}

func (k *copies) take(c *Core) *Batch {
	b := c.Take()
	if k == nil {
		return b
	}
	for n, x := range k.all {
		if got := x.Take(); digest(got) != digest(b) {
			k.t.Fatalf("batch %d: copy %d decides\n%+v\nnot\n%+v", k.batches, n, *got, *b)
		}
	}
	if k.batches++; k.r.IntN(k.every) == 0 && b.Bug == nil {
		k.snapshot()
	}
	return b
}

// snapshot adds one more copy, and compares all copies with the core, field by field.
func (k *copies) snapshot() {
	s := k.of.Snapshot()
	again := k.of.Snapshot()
	k.same("a second snapshot", &again, &s)
	for n, x := range k.all {
		got := x.Snapshot()
		k.same(fmt.Sprintf("batch %d: copy %d", k.batches, n), &got, &s)
	}
	var wire bytes.Buffer
	var back Snapshot
	if err := gob.NewEncoder(&wire).Encode(&s); err != nil {
		k.t.Fatal(err)
	}
	if err := gob.NewDecoder(&wire).Decode(&back); err != nil {
		k.t.Fatal(err)
	}
	k.same("decoded", &back, &s)
	x, err := Resume(&back)
	if err != nil {
		k.t.Fatalf("batch %d: %v", k.batches, err)
	}
	got := x.Snapshot()
	k.same("resumed", &got, &s)
	k.resumed++
	if k.all = append(k.all, x); len(k.all) > 3 {
		k.all = slices.Delete(k.all, 0, 1)
	}
}

func (k *copies) same(what string, got, want *Snapshot) {
	k.t.Helper()
	if !reflect.DeepEqual(got, want) {
		k.t.Fatalf("%s: the snapshot differs\n%+v\nwant\n%+v", what, got, want)
	}
}

func newCopies(t testing.TB, seed uint64, every int) *copies {
	return &copies{t: t, r: rand.New(rand.NewPCG(seed, 99)), every: every}
}

// run runs a world: 600 turns, then it settles.
func (w *world) run() error {
	for n := 0; n < 600; n++ {
		if err := w.turn(true); err != nil {
			return fmt.Errorf("turn %d at %v: %w", n, w.now.Mono, err)
		}
	}
	return w.settleDown()
}

// TestResumeWorlds: cores that are resumed at any point of random worlds, with crashes, decide like the original.
func TestResumeWorlds(t *testing.T) {
	resumed := 0
	for seed := uint64(1); seed <= 8; seed++ {
		w := newWorld(seed, func(string, ...any) {})
		w.copies = newCopies(t, seed, 20)
		if err := w.run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		resumed += w.copies.resumed
	}
	if resumed < 300 {
		t.Errorf("only %d snapshots were resumed", resumed)
	}
}

// TestResumeBusyHour: the same for an hour with policy edges, a throttle and preemptive reservations.
func TestResumeBusyHour(t *testing.T) {
	r := busyHour(t, 11)
	core, err := New(r.cfg, record.Saved{}, true, Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	k := newCopies(t, 1, 30)
	for _, s := range r.journal {
		if k.step(core, s.now, s.ev); s.take {
			k.take(core)
		}
	}
	if k.resumed < 50 {
		t.Errorf("only %d snapshots were resumed", k.resumed)
	}
}

// TestSettleBucket: the settled form of a bucket never holds more tokens than the bucket, hardly fewer, and is made only once.
func TestSettleBucket(t *testing.T) {
	dice := rand.New(rand.NewPCG(4, 4))
	for n := range 20_000 {
		limit := []float64{1e-6, 0.01, 1.0 / 3, 1, 7, 100, 1e6}[n%7] * (0.5 + dice.Float64())
		core, err := New(conf(func(c *Config) { c.Throttle = policy.Throttle{Limit: limit, Burst: 1 + dice.IntN(50)} }),
			record.Saved{}, true, Time{Mono: time.Duration(dice.Int64N(1e15)), Wall: time.Unix(1e9, 0)})
		if err != nil {
			t.Fatal(err)
		}
		core.spend(dice.IntN(core.bucket.Burst() + 1))
		core.now.Mono += time.Duration(dice.Int64N(1e10))
		now := instant(core.now.Mono)
		before := core.bucket.TokensAt(now)
		s := core.settleBucket()
		after := core.bucket.TokensAt(now)
		if after > before || before-after > 1e-6*max(limit, 1)+1e-6*float64(core.bucket.Burst()) {
			t.Fatalf("limit %v burst %d: %v tokens became %v", limit, core.bucket.Burst(), before, after)
		}
		core.now.Mono += time.Second
		if core.settleBucket() != s {
			t.Fatal("the second settleBucket returned another form")
		}
	}
}

// decided lists the fields of everything that a snapshot contains, or leaves out for a reason. If you add a field, decide whether a resumed
// core needs it. If so, add it to Snapshot and Resume. Then add it here.
var decided = map[string]string{
	"scaler.Core": "cfg reg now stamp batch bug taken timers queue orphans window active nextEdge hasEdge evaluated decision bucket throttled " +
		"settled settledAs batchCreate batchCreateAt lists backoff breaker foreign unknown names paused ailing above debts waiting held event doing because known unfinished draining shutdown deleting",
	"scaler.machine": "Instance boot retry op tries beatFail accepted gaveUp alarmed strayed absentAt absentSeq absentMul absentPos acceptedAt",
	"scaler.intent":  "Intent timer confirm since seen restored reused asked late",
	"scaler.arrival": "id at", "scaler.unknowns": "excess named unnamed", "scaler.debt": "id at", "scaler.names": "again clear held",
	"scaler.breaker": "open judged since young unseen", "scaler.trial": "m ready",
	"scaler.waiter":   "key ticket not since deadline place prev next",
	"scaler.queue":    "head tail byKey picky spare before gaps",
	"scaler.timer":    "at seq kind pos of",
	"scaler.timers":   "heap seq",
	"failure.Failure": "Kind RetryAfter Message",
	"scaler.lists":    "started seq failed away present missed absent",
	"scaler.backoff":  "until cause",
	"scaler.window":   "current since past head",
	"scaler.sample":   "value end",
	"scaler.Batch":    "Changes Commands Grants Facts Wake Expecting Done Bug",
	"fleet.Register": "Meta capacity maxUses byID leases round reservations intents idle open openBits counts leased supply pending claims openSlots " +
		"idleCount intentExpected intentDoubt dirty dropped arena dirtyIntent lostIntents metaDirty metaOut",
	"fleet.Instance": "ID Serial State Listed Origin Cause DeleteAsked Unreachable Suspect Uses Created Since ReadyAt IdleAt Attached slots leased claims supply " +
		"pending open bucket idle inOpen dirty",
	"fleet.Intent":      "Intent Unsure Attached dirty closed",
	"fleet.Reservation": "Key Claim Attached",
	"fleet.slot":        "key at use used",
	"fleet.lease":       "on slot since",
	"fleet.list":        "head tail of",
	"fleet.link":        "prev next on",
	"policy.Active":     "Index Settings",
}

// TestEveryFieldIsDecided fails for a field that decided does not list. Records, configurations and facts are plain data that a snapshot
// copies whole. The types of other modules are covered by TestSettleBucket.
func TestEveryFieldIsDecided(t *testing.T) {
	whole := []string{"scaler.Config", "scaler.Time", "fleet.Stamp", "record.Meta", "record.Intent", "record.Changes", "scaler.Command",
		"scaler.Grant", "scaler.Fact", "policy.Decision", "policy.Throttle", "policy.Settings", "scaler.BucketSnapshot", "record.Lease",
		"record.Instance"}
	seen := map[string]bool{}
	var walk func(rt reflect.Type)
	walk = func(rt reflect.Type) {
		switch rt.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(rt.Elem())
		case reflect.Map:
			walk(rt.Key())
			walk(rt.Elem())
		case reflect.Struct:
			name := rt.String()
			if seen[name] || slices.Contains(whole, name) || !strings.Contains(rt.PkgPath(), "taskscaler") {
				return
			}
			seen[name] = true
			var fields []string
			for n := range rt.NumField() {
				fields = append(fields, rt.Field(n).Name)
				walk(rt.Field(n).Type)
			}
			if got := strings.Join(fields, " "); got != decided[name] {
				t.Errorf("%s has the fields\n%s\nand decided names\n%s\nDecide whether a snapshot needs what is new.", name, got, decided[name])
			}
		}
	}
	for _, v := range []any{Core{}, machine{}, intent{}} { // they are stored as any
		walk(reflect.TypeOf(v))
	}
	for _, name := range slices.Sorted(maps.Keys(decided)) {
		if !seen[name] {
			t.Errorf("%s is not reached any more", name)
		}
	}
}
