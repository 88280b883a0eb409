// Package explaintest plays scripted histories: a real core runs on virtual time against a cloud that does what the script says. An
// explain.History receives every round, as from the journal's reader.
package explaintest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Machine is an instance of the scripted cloud. Times are those of Rig.Now.Mono.
type Machine struct {
	Boots time.Duration // when it runs
	Dies  time.Duration // when a delete takes effect; 0: no delete was requested
	Word  fleet.Listed  // the state that the list shows; 0: the true state
	Away  bool          // the list does not contain it
}

// Rig plays one script.
type Rig struct {
	History *explain.History
	Core    *scaler.Core
	Config  scaler.Config
	Now     scaler.Time
	Cloud   map[record.ID]*Machine

	Boot, Prepare, Dying time.Duration // how long the cloud takes for each
	Every                time.Duration // time between two lists; 0: no lists unless List is called
	Light                bool          // do not check the core after every round: for long scripts

	// Answer changes the answer to a command, and returns how many instances a create really makes. nil: every command succeeds.
	Answer func(cmd scaler.Command, ev *scaler.Event) (made int)

	t      testing.TB
	saved  record.Saved
	shown  map[record.ID]fleet.Listed
	due    []due
	wake   time.Duration
	listAt time.Duration
	names  int
	ticket uint64
	lives  []*life
}

// life is one run of the manager, as a journal records it.
type life struct {
	config scaler.Config
	saved  record.Saved
	now    scaler.Time
	rounds []round
}

type round struct {
	now    scaler.Time
	events []scaler.Event
}

type due struct {
	at time.Duration
	ev scaler.Event
}

// Start is the time at which every script begins: a Monday at noon, UTC.
var Start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Config returns a small group: ten instances of one slot each, no throttle; idle instances are removed after a minute.
func Config(settings policy.Settings, edit ...func(*scaler.Config)) scaler.Config {
	schedule, err := policy.Compile([]policy.Policy{{Settings: settings}}, time.UTC)
	if err != nil {
		panic(err)
	}
	c := scaler.Config{
		Capacity: 1, MaxInstances: 10, Throttle: policy.Throttle{Limit: -1}, UpdateInterval: 10 * time.Second, Schedule: schedule,
	}
	for _, e := range edit {
		e(&c)
	}
	return c
}

// New starts a manager with an empty store, after its first list. A list comes every second. An instance boots in five seconds.
func New(t testing.TB, cfg scaler.Config, o explain.Options) *Rig {
	t.Helper()
	r := &Rig{
		t: t, Config: cfg, History: explain.NewHistory(o), Cloud: map[record.ID]*Machine{}, shown: map[record.ID]fleet.Listed{},
		Every: time.Second, Boot: 5 * time.Second, Now: scaler.Time{Mono: time.Hour, Wall: Start},
	}
	r.start()
	r.List()
	return r
}

func (r *Rig) start() {
	r.t.Helper()
	l := &life{config: r.Config, now: r.Now}
	l.saved.Apply(&record.Changes{Put: r.saved.Instances, PutIntents: r.saved.Intents, Meta: &r.saved.Meta})
	r.lives = append(r.lives, l)
	r.Core, r.due, r.listAt = l.core(r.t), nil, r.Now.Mono+r.Every
	clear(r.shown)
}

func (l *life) core(t testing.TB) *scaler.Core {
	t.Helper()
	var saved record.Saved
	saved.Apply(&record.Changes{Put: l.saved.Instances, PutIntents: l.saved.Intents, Meta: &l.saved.Meta})
	core, err := scaler.New(l.config, saved, true, l.now)
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// Feed replays the script with new cores.
func (r *Rig) Feed(until time.Time, h *explain.History) (notes []string, err error) {
	for _, l := range r.lives {
		core := l.core(r.t)
		for _, x := range l.rounds {
			if !until.IsZero() && x.now.Wall.After(until) {
				return nil, nil
			}
			for i := range x.events {
				core.Step(x.now, x.events[i])
			}
			h.Add(core, x.now, x.events, core.Take())
		}
	}
	return nil, nil
}

// Journal writes the journal of the script to dir. A new segment begins after every n rounds; 0: only when a manager starts.
func (r *Rig) Journal(dir string, n int) {
	r.t.Helper()
	for _, l := range r.lives {
		r.write(dir, n, l, l.core(r.t))
	}
}

// Forge writes a journal whose checksums come from another configuration than its snapshots. A replay must notice this.
func (r *Rig) Forge(dir string, edit func(*scaler.Config)) {
	r.t.Helper()
	for _, l := range r.lives {
		other := *l
		edit(&other.config)
		r.write(dir, 0, l, other.core(r.t))
	}
}

// write writes one run of the manager, with the checksums of what core decides.
func (r *Rig) write(dir string, n int, l *life, core *scaler.Core) {
	r.t.Helper()
	w, err := journal.Open(dir, journal.Options{Version: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	s := l.core(r.t).Snapshot()
	w.Start(&s)
	for i, x := range l.rounds {
		w.Round(x.now, x.events)
		for k := range x.events {
			core.Step(x.now, x.events[k])
		}
		w.Taken(core.Take())
		if n > 0 && i%n == n-1 {
			s := core.Snapshot()
			w.Rotate(&s)
		}
	}
	if err := w.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// Restart crashes the manager and starts a new one after some time, including its first list.
func (r *Rig) Restart(away time.Duration) {
	r.t.Helper()
	r.Now = scaler.Time{Mono: r.Now.Mono + away, Wall: r.Now.Wall.Add(away)}
	r.start()
	r.List()
}

// Do processes events now: it steps the core, takes one batch, carries it out, and feeds the history.
func (r *Rig) Do(evs ...scaler.Event) *scaler.Batch {
	r.t.Helper()
	for i := range evs {
		r.Core.Step(r.Now, evs[i])
	}
	b := r.Core.Take()
	if b.Bug != nil {
		r.t.Fatal(b.Bug)
	}
	if !r.Light {
		if err := r.Core.Check(); err != nil {
			r.t.Fatal(err)
		}
	}
	r.saved.Apply(&b.Changes)
	r.History.Add(r.Core, r.Now, evs, b)
	l := r.lives[len(r.lives)-1]
	l.rounds = append(l.rounds, round{r.Now, evs})
	r.wake = b.Wake
	for _, cmd := range b.Commands {
		r.carryOut(cmd)
	}
	return b
}

// carryOut carries out a command and schedules its answer.
func (r *Rig) carryOut(cmd scaler.Command) {
	ev := scaler.Event{Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial, Count: cmd.Count}
	made, after := cmd.Count, time.Duration(0)
	switch cmd.Kind {
	case scaler.CmdIncrease:
		ev.Kind = scaler.EvIncreased
	case scaler.CmdDelete:
		ev.Kind = scaler.EvDeleted
	case scaler.CmdPrepare:
		ev.Kind, after = scaler.EvPrepared, r.Prepare
	case scaler.CmdHeartbeat:
		ev.Kind = scaler.EvBeat
	}
	if r.Answer != nil {
		made = r.Answer(cmd, &ev)
	}
	if cmd.Kind == scaler.CmdIncrease {
		for range made {
			r.names++
			r.Cloud[record.ID("i-"+strconv.Itoa(r.names))] = &Machine{Boots: r.Now.Mono + r.Boot}
		}
	}
	if m := r.Cloud[cmd.ID]; cmd.Kind == scaler.CmdDelete && m != nil && m.Dies == 0 && !ev.Failure.Failed() {
		m.Dies = r.Now.Mono + r.Dying + 1
	}
	r.due = append(r.due, due{r.Now.Mono + after, ev})
}

// List reports the differences between the cloud and the previous list, in one round.
func (r *Rig) List() {
	r.t.Helper()
	var evs []scaler.Event
	seen := map[record.ID]fleet.Listed{}
	for _, id := range slices.Sorted(maps.Keys(r.Cloud)) {
		m := r.Cloud[id]
		if m.Dies > 0 && r.Now.Mono >= m.Dies {
			delete(r.Cloud, id)
			continue
		}
		if m.Away {
			continue
		}
		word := r.word(m)
		seen[id] = word
		if was, ok := r.shown[id]; !ok {
			evs = append(evs, scaler.Event{Kind: scaler.EvAppeared, ID: id, Listed: word})
		} else if was != word {
			evs = append(evs, scaler.Event{Kind: scaler.EvChanged, ID: id, Listed: word})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.shown)) {
		if _, ok := seen[id]; !ok {
			evs = append(evs, scaler.Event{Kind: scaler.EvMissing, ID: id})
		}
	}
	r.shown = seen
	r.Do(append(evs, scaler.Event{Kind: scaler.EvListed, Since: r.Now.Mono})...)
	r.answers()
}

// word returns the state that the list shows for m.
func (r *Rig) word(m *Machine) fleet.Listed {
	switch {
	case m.Word != 0:
		return m.Word
	case m.Dies > 0:
		return fleet.ListedDeleting
	case r.Now.Mono < m.Boots:
		return fleet.ListedCreating
	}
	return fleet.ListedRunning
}

// answers delivers every answer that is due now.
func (r *Rig) answers() {
	r.t.Helper()
	for n := 0; ; n++ {
		i := slices.IndexFunc(r.due, func(d due) bool { return d.at <= r.Now.Mono })
		if i < 0 {
			return
		}
		if n > 10_000 {
			r.t.Fatal("it does not come to rest at one moment")
		}
		ev := r.due[i].ev
		r.due = slices.Delete(r.due, i, i+1)
		r.Do(ev)
	}
}

// Run lets the time d pass. Wakes, answers and lists come at their times.
func (r *Rig) Run(d time.Duration) {
	r.t.Helper()
	r.answers()
	for end := r.Now.Mono + d; ; {
		at, what := end, 0
		sooner := func(t time.Duration, w int) {
			if t > 0 && cmp.Less(t, at) {
				at, what = t, w
			}
		}
		sooner(r.wake, 1)
		if r.Every > 0 {
			sooner(r.listAt, 2)
		}
		for _, d := range r.due {
			sooner(d.at, 3)
		}
		r.Now.Wall = r.Now.Wall.Add(max(at-r.Now.Mono, 0))
		r.Now.Mono = max(at, r.Now.Mono)
		switch what {
		case 0, 1:
			r.Do(scaler.Event{Kind: scaler.EvWake})
		case 2:
			r.listAt = r.Now.Mono + r.Every
			r.List()
		}
		r.answers()
		if what == 0 {
			return
		}
	}
}

// Ask processes a caller's event with a new ticket. It returns the answer, if there is one at once.
func (r *Rig) Ask(kind scaler.EventKind, key record.Key, edit ...func(*scaler.Event)) (g scaler.Grant) {
	r.t.Helper()
	r.ticket++
	ev := scaler.Event{Kind: kind, Key: key, Ticket: r.ticket}
	for _, e := range edit {
		e(&ev)
	}
	for _, x := range r.Do(ev).Grants {
		if x.Ticket == ev.Ticket {
			g = x
		}
	}
	r.answers()
	return g
}

// Acquire asks for a slot under each key, in one round.
func (r *Rig) Acquire(keys ...record.Key) {
	r.t.Helper()
	evs := make([]scaler.Event, 0, len(keys))
	for _, k := range keys {
		r.ticket++
		evs = append(evs, scaler.Event{Kind: scaler.EvAcquire, Key: k, Ticket: r.ticket})
	}
	r.Do(evs...)
	r.answers()
}

// Release releases the slot of each key. Each key must have one.
func (r *Rig) Release(keys ...record.Key) {
	r.t.Helper()
	for _, k := range keys {
		if g := r.Ask(scaler.EvRelease, k); g.Kind != scaler.GrantReleased {
			r.t.Fatalf("release of %s: %+v", k, g)
		}
	}
}
