package scaler

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// vm is an instance of the scripted cloud.
type vm struct {
	boots time.Duration // when it is running
	dies  time.Duration // when a delete takes effect; 0: no delete was requested
	word  fleet.Listed  // what the list says instead of the truth; 0: the truth
	away  bool          // the list omits it
}

// rig drives one core on virtual time against a scripted cloud. It uses every batch in the required order and checks the register after
// every step.
type rig struct {
	t     testing.TB
	cfg   Config
	core  *Core
	now   Time
	saved record.Saved
	bt    *Batch

	cloud   map[record.ID]*vm
	made    []time.Duration // when each instance was requested
	names   int
	shown   map[record.ID]fleet.Listed
	every   time.Duration // interval of lists; 0: no automatic lists
	listAt  time.Duration
	pending []pendingEvent

	boot, prep, dying time.Duration
	hold              map[CommandKind]bool                      // commands that are put into held instead of answered
	held              []Command                                 // the commands that hold kept back
	answer            func(cmd Command, ev *Event) (made int)   // changes the answer to a create; nil: everything is created
	fail              func(cmd Command) (failure.Failure, bool) // the failure of any other command; nil: none

	grants   []Grant
	facts    []Fact
	commands []Command
	journal  []stepped
	digests  []uint64
	ticket   uint64
	light    bool // does not check the register and keeps nothing: for long runs
}

type stepped struct {
	now  Time
	ev   Event
	take bool // the batch was taken after it
}

const sec = time.Second

func always(s policy.Settings) *policy.Schedule { return sched(policy.Policy{Settings: s}) }

func sched(p ...policy.Policy) *policy.Schedule {
	s, err := policy.Compile(p, time.UTC)
	if err != nil {
		panic(err)
	}
	return s
}

// conf returns a small group: ten instances with one slot, no throttle, idle_time one minute.
func conf(edit ...func(*Config)) Config {
	c := Config{
		Capacity: 1, MaxInstances: 10, Throttle: policy.Throttle{Limit: -1}, UpdateInterval: 10 * sec,
		Schedule: always(policy.Settings{IdleTime: time.Minute}),
	}
	for _, e := range edit {
		e(&c)
	}
	return c
}

func withPolicy(s policy.Settings) func(*Config) { return func(c *Config) { c.Schedule = always(s) } }

// newRig starts a manager with an empty store of the same group; the first list has arrived.
func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := bareRig(t, cfg)
	r.start(true)
	r.list()
	return r
}

func bareRig(t testing.TB, cfg Config) *rig {
	return &rig{
		t: t, cfg: cfg, cloud: map[record.ID]*vm{}, shown: map[record.ID]fleet.Listed{}, every: sec, boot: 5 * sec, hold: map[CommandKind]bool{},
		now: Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)},
	}
}

// start makes a core from what was committed, and forgets everything else.
func (r *rig) start(known bool) {
	r.t.Helper()
	var saved record.Saved
	saved.Apply(&record.Changes{Put: r.saved.Instances, PutIntents: r.saved.Intents, Meta: &r.saved.Meta})
	core, err := New(r.cfg, saved, known, r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	r.core, r.pending, r.held, r.listAt = core, nil, nil, r.now.Mono+r.every
	clear(r.shown)
}

// restart simulates a crash, a new start some time later, and the first list.
func (r *rig) restart(away time.Duration) {
	r.t.Helper()
	r.now = Time{Mono: r.now.Mono + away, Wall: r.now.Wall.Add(away)}
	r.start(true)
	r.list()
}

// do steps the events now, takes one batch and uses it.
func (r *rig) do(evs ...Event) *Batch {
	r.t.Helper()
	for n, ev := range evs {
		r.core.Step(r.now, ev)
		if !r.light {
			r.journal = append(r.journal, stepped{r.now, ev, n == len(evs)-1})
			if err := r.core.Check(); err != nil {
				r.t.Fatalf("%v after %+v: %v", r.now.Mono, ev, err)
			}
		}
	}
	b := r.core.Take()
	if b.Bug != nil {
		r.t.Fatalf("%v: %v", r.now.Mono, b.Bug)
	}
	if b.Wake != 0 && b.Wake <= r.now.Mono {
		r.t.Fatalf("wake %v is not after %v", b.Wake, r.now.Mono)
	}
	if n := r.core.reg.Existing(); r.cfg.MaxInstances > 0 && n > r.cfg.MaxInstances && slices.ContainsFunc(b.Commands, isIncrease) {
		r.t.Fatalf("invariant 2: %d exist after a create, of %d", n, r.cfg.MaxInstances)
	}
	if !r.light {
		r.saved.Apply(&b.Changes)
		r.digests = append(r.digests, digest(b))
		r.grants, r.facts = append(r.grants, b.Grants...), append(r.facts, b.Facts...)
		r.commands = append(r.commands, b.Commands...)
	}
	r.bt = b
	for _, cmd := range b.Commands {
		if r.hold[cmd.Kind] {
			r.held = append(r.held, cmd)
		} else {
			r.carryOut(cmd)
		}
	}
	return b
}

func isIncrease(c Command) bool { return c.Kind == CmdIncrease }

// digest returns a fingerprint of everything in a batch.
func digest(b *Batch) uint64 {
	h := fnv.New64a()
	meta := record.Meta{}
	if b.Changes.Meta != nil {
		meta = *b.Changes.Meta
	}
	fmt.Fprintf(h, "%+v|%+v|%+v|%+v|%+v|%+v|%+v|%+v|%v|%v|%v", b.Changes.Put, b.Changes.Drop, b.Changes.PutIntents, b.Changes.DropIntents, meta,
		b.Commands, b.Grants, b.Facts, b.Wake, b.Expecting, b.Done)
	return h.Sum64()
}

func (r *rig) later(d time.Duration, ev Event) {
	r.pending = append(r.pending, pendingEvent{at: r.now.Mono + d, ev: ev})
}

// carryOut performs a command and schedules its answer.
func (r *rig) carryOut(cmd Command) {
	ev := Event{Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	switch cmd.Kind {
	case CmdIncrease:
		ev.Kind, ev.Count = EvIncreased, cmd.Count
		n := cmd.Count
		if r.answer != nil {
			n = r.answer(cmd, &ev)
		}
		for range n {
			r.spawn("")
		}
		r.later(0, ev)
	case CmdDelete:
		ev.Kind = EvDeleted
		ev.Failure, ev.Away = r.failure(cmd)
		if m := r.cloud[cmd.ID]; m != nil && m.dies == 0 && !ev.Failure.Failed() {
			m.dies = r.now.Mono + r.dying + 1
		}
		r.later(0, ev)
	case CmdPrepare:
		ev.Kind = EvPrepared
		ev.Failure, ev.Away = r.failure(cmd)
		r.later(r.prep, ev)
	case CmdHeartbeat:
		ev.Kind = EvBeat
		ev.Failure, ev.Away = r.failure(cmd)
		r.later(0, ev)
	}
}

func (r *rig) failure(cmd Command) (failure.Failure, bool) {
	if r.fail == nil {
		return failure.Failure{}, false
	}
	return r.fail(cmd)
}

// spawn adds an instance to the cloud. Without an ID it gets the next name.
func (r *rig) spawn(id record.ID) *vm {
	if id == "" {
		r.names++
		id = record.ID(fmt.Sprintf("i-%d", r.names))
		r.made = append(r.made, r.now.Mono)
	}
	m := &vm{boots: r.now.Mono + r.boot}
	r.cloud[id] = m
	return m
}

// list reports the differences between the cloud and the previous list, in one batch.
func (r *rig) list() {
	r.t.Helper()
	var evs []Event
	seen := map[record.ID]fleet.Listed{}
	for _, id := range slices.Sorted(maps.Keys(r.cloud)) {
		m := r.cloud[id]
		l := fleet.ListedRunning
		switch {
		case m.dies > 0 && r.now.Mono >= m.dies:
			delete(r.cloud, id)
			continue
		case m.away:
			continue
		case m.word != 0:
			l = m.word
		case m.dies > 0:
			l = fleet.ListedDeleting
		case r.now.Mono < m.boots:
			l = fleet.ListedCreating
		}
		seen[id] = l
		if was, ok := r.shown[id]; !ok {
			evs = append(evs, Event{Kind: EvAppeared, ID: id, Listed: l})
		} else if was != l {
			evs = append(evs, Event{Kind: EvChanged, ID: id, Listed: l})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.shown)) {
		if _, ok := seen[id]; !ok {
			evs = append(evs, Event{Kind: EvMissing, ID: id})
		}
	}
	r.shown = seen
	r.do(append(evs, Event{Kind: EvListed, Since: r.now.Mono})...)
	r.settle()
}

// settle processes everything that is due now.
func (r *rig) settle() {
	r.t.Helper()
	for n := 0; ; n++ {
		if n > 10_000 {
			r.t.Fatal("the core does not settle: more than 10,000 steps at the same time")
		}
		due := slices.IndexFunc(r.pending, func(p pendingEvent) bool { return p.at <= r.now.Mono })
		if due < 0 {
			return
		}
		ev := r.pending[due].ev
		r.pending = slices.Delete(r.pending, due, due+1)
		r.do(ev)
	}
}

// run lets d pass: wakes, answers and lists happen at their times.
func (r *rig) run(d time.Duration) {
	r.t.Helper()
	for end, idle := r.now.Mono+d, 0; ; {
		at, what := end, 0
		if w := r.bt; w != nil && w.Wake > 0 && w.Wake < at {
			at, what = w.Wake, 1
		}
		if r.every > 0 && r.listAt < at {
			at, what = r.listAt, 2
		}
		for _, p := range r.pending {
			if p.at < at {
				at, what = p.at, 3
			}
		}
		if idle++; what != 1 || at-r.now.Mono > time.Millisecond {
			idle = 0
		}
		if idle > 10_000 {
			r.t.Fatal("the core does not rest: more than 10,000 wakes without a pause")
		}
		r.now.Wall = r.now.Wall.Add(max(at-r.now.Mono, 0))
		r.now.Mono = max(at, r.now.Mono)
		switch what {
		case 0:
			r.do(Event{Kind: EvWake})
			r.settle()
			return
		case 1:
			r.do(Event{Kind: EvWake})
		case 2:
			r.listAt = r.now.Mono + r.every
			r.list()
		}
		r.settle()
	}
}

// ask steps a caller's event with a new ticket. It returns the answer, if there is one at once.
func (r *rig) ask(kind EventKind, key record.Key, edit ...func(*Event)) (g Grant) {
	r.t.Helper()
	r.ticket++
	ev := Event{Kind: kind, Key: key, Ticket: r.ticket}
	for _, e := range edit {
		e(&ev)
	}
	for _, x := range r.do(ev).Grants {
		if x.Ticket == r.ticket {
			g = x
		}
	}
	r.settle()
	return g
}

func (r *rig) acquire(keys ...record.Key) (g Grant) {
	r.t.Helper()
	for _, k := range keys {
		g = r.ask(EvAcquire, k)
	}
	return g
}

func (r *rig) release(keys ...record.Key) {
	r.t.Helper()
	for _, k := range keys {
		if g := r.ask(EvRelease, k); g.Kind != GrantReleased {
			r.t.Fatalf("release of %s: %+v", k, g)
		}
	}
}

// last returns the last grant for key.
func (r *rig) last(key record.Key) (g Grant) {
	for _, x := range r.grants {
		if x.Key == key {
			g = x
		}
	}
	return g
}

func (r *rig) factsOf(kind FactKind) (all []Fact) {
	for _, f := range r.facts {
		if f.Kind == kind {
			all = append(all, f)
		}
	}
	return all
}

func (r *rig) commandsOf(kind CommandKind) (all []Command) {
	for _, c := range r.commands {
		if c.Kind == kind {
			all = append(all, c)
		}
	}
	return all
}

func (r *rig) sum() Summary { return r.core.Summary() }

func (r *rig) state(id record.ID) record.State {
	if i := r.core.reg.Get(id); i != nil {
		return i.State
	}
	return 0
}

// want compares two values by their %v text.
func (r *rig) want(what string, got, want any) {
	r.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		r.t.Errorf("%v: %s: %s, want %s", r.now.Mono-time.Hour, what, g, w)
	}
}

// leaseOf returns where key's lease is, such as "i-1/0", or "" without one.
func (r *rig) leaseOf(key record.Key) string {
	id, slot, ok := r.core.Lease(key)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s/%d", id, slot)
}
