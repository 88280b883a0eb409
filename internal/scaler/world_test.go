package scaler

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

var (
	worldSeed  = flag.Uint64("world.seed", 0, "replay one world of TestWorlds")
	worldCount = flag.Int("world.count", 50, "worlds that TestWorlds runs")
)

// TestWorlds drives the core through random worlds: jobs that come and go, a cloud that fails in every possible way, and crashes between
// commit and dispatch. After every step the register is checked from scratch. At the end the faults stop, and everything must settle.
func TestWorlds(t *testing.T) {
	if *worldSeed != 0 {
		if err := runWorld(*worldSeed, t.Logf); err != nil {
			t.Fatal(err)
		}
		return
	}
	for seed := uint64(1); seed <= uint64(*worldCount); seed++ {
		if err := runWorld(seed, func(string, ...any) {}); err != nil {
			t.Fatalf("seed %d: %v\nreplay: go test ./internal/scaler -run TestWorlds -v -world.seed=%d", seed, err, seed)
		}
	}
}

func runWorld(seed uint64, log func(string, ...any)) error { return newWorld(seed, log).run() }

// machineInCloud is an instance, as the cloud knows it.
type machineInCloud struct {
	id      record.ID
	born    time.Duration
	boots   time.Duration
	dies    time.Duration // when a delete takes effect; 0: no delete was requested
	hidden  bool
	broken  bool // its preparation always fails
	uses    int
	foreign bool
}

type pendingEvent struct {
	at time.Duration
	ev Event
}

type world struct {
	r      *rand.Rand
	log    func(string, ...any)
	cfg    Config
	core   *Core
	saved  record.Saved
	now    Time
	cloud  map[record.ID]*machineInCloud
	nextID int
	shown  map[record.ID]fleet.Listed // the observer's previous list
	late   []pendingEvent
	faults bool

	holding  map[record.Key]record.ID // leases that callers know of
	waiting  map[record.Key]uint64
	reserved map[record.Key]bool
	nextKey  int
	copies   *copies // resumed cores in lockstep; nil: none
	ticket   uint64
	creates  []creation
	nextList time.Duration
	wake     time.Duration
	expect   bool
	jumped   bool // the wall clock jumped since the last create
}

type creation struct {
	at time.Duration
	n  int
}

func newWorld(seed uint64, log func(string, ...any)) *world {
	r := rand.New(rand.NewPCG(seed, 17))
	w := &world{
		r: r, log: log, cloud: map[record.ID]*machineInCloud{}, shown: map[record.ID]fleet.Listed{}, faults: true,
		holding: map[record.Key]record.ID{}, waiting: map[record.Key]uint64{}, reserved: map[record.Key]bool{},
		now: Time{Mono: time.Hour, Wall: time.Date(2026, 3, 6, 17, 50, 0, 0, time.UTC)},
	}
	s, err := policy.Compile([]policy.Policy{
		{Settings: policy.Settings{
			IdleCount: r.IntN(4), IdleTime: time.Duration(r.IntN(120)) * time.Second, ScaleFactor: float64(r.IntN(3)) / 2, ScaleFactorLimit: r.IntN(6),
			ScaleFactorMode: policy.FactorMode(r.IntN(2)), Preemptive: r.IntN(3) == 0,
		}},
		{Periods: []string{"* 18-20 * * *"}, Settings: policy.Settings{IdleCount: r.IntN(6), IdleTime: time.Duration(r.IntN(200)) * time.Second}},
	}, time.UTC)
	if err != nil {
		panic(err)
	}
	w.cfg = Config{
		Capacity: 1 + r.IntN(3), MaxInstances: 2 + r.IntN(10), MaxUses: []int{0, 1, 5}[r.IntN(3)], Schedule: s,
		Throttle: policy.Throttle{Limit: []float64{0, -1, 0.2, 2}[r.IntN(4)], Burst: r.IntN(4)}, UpdateInterval: 10 * time.Second,
		Heartbeat: r.IntN(2) == 0, KeepAbandoned: r.IntN(2) == 0, ForgetAfter: 30 * time.Minute,
		RequestedDeadline: time.Minute, CreatingDeadline: 2 * time.Minute, PreparingDeadline: 2 * time.Minute,
	}
	w.start(false)
	return w
}

func (w *world) start(known bool) {
	core, err := New(w.cfg, w.saved, known, w.now)
	if err != nil {
		panic(err)
	}
	w.core, w.late, w.shown, w.nextList, w.wake = core, nil, map[record.ID]fleet.Listed{}, w.now.Mono, 0
	clear(w.waiting)
	clear(w.reserved)
}

func (w *world) chance(p float64) bool { return w.faults && w.r.Float64() < p }

// turn lets some time pass and one or more things happen. Then it uses the batch in the required order, sometimes with a crash in between.
func (w *world) turn(jobs bool) error {
	step := time.Duration(w.r.IntN(4000)) * time.Millisecond
	if w.wake > w.now.Mono && w.wake-w.now.Mono < step && w.r.IntN(2) == 0 {
		step = w.wake - w.now.Mono
	}
	w.now.Mono += step
	w.now.Wall = w.now.Wall.Add(step)
	if w.chance(0.01) {
		w.now.Wall = w.now.Wall.Add(time.Duration(w.r.IntN(7200)-3600) * time.Second)
		w.jumped = true
	}
	for n := 1 + w.r.IntN(3); n > 0; n-- {
		if err := w.happen(jobs); err != nil {
			return err
		}
	}
	return w.use()
}

func (w *world) step(ev Event) error {
	before := w.asked()
	w.copies.step(w.core, w.now, ev)
	if n := w.core.reg.Existing(); w.asked() > before && n > w.cfg.MaxInstances {
		return fmt.Errorf("invariant 2: %d exist after a create, max_instances is %d", n, w.cfg.MaxInstances)
	}
	if w.core.bug != nil {
		return fmt.Errorf("after %+v: %w", ev, w.core.bug)
	}
	if err := w.core.Check(); err != nil {
		return fmt.Errorf("after %+v: %w", ev, err)
	}
	return nil
}

// asked returns the number of instances that the current batch requests so far.
func (w *world) asked() int {
	if w.core.taken {
		return 0
	}
	n := 0
	for _, cmd := range w.core.batch.Commands {
		if cmd.Kind == CmdIncrease {
			n += cmd.Count
		}
	}
	return n
}

func (w *world) happen(jobs bool) error {
	switch due := w.dueLate(); {
	case due != nil:
		return w.step(*due)
	case w.now.Mono >= w.nextList:
		return w.list()
	case w.wake > 0 && w.now.Mono >= w.wake:
		return w.step(Event{Kind: EvWake})
	case jobs:
		return w.caller()
	}
	return w.step(Event{Kind: EvWake})
}

func (w *world) dueLate() *Event {
	for n, p := range w.late {
		if p.at <= w.now.Mono {
			w.late = slices.Delete(w.late, n, n+1)
			return &p.ev
		}
	}
	return nil
}

func pick[V any](r *rand.Rand, m map[record.Key]V) record.Key {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 {
		return ""
	}
	return keys[r.IntN(len(keys))]
}

func (w *world) caller() error {
	w.ticket++
	switch w.r.IntN(12) {
	case 0, 1, 2:
		w.nextKey++
		key := record.Key(fmt.Sprintf("job-%d", w.nextKey))
		w.waiting[key] = w.ticket
		ev := Event{Kind: EvAcquire, Key: key, Ticket: w.ticket}
		if w.r.IntN(3) == 0 {
			ev.Deadline = w.now.Mono + time.Duration(w.r.IntN(300))*time.Second
		}
		return w.step(ev)
	case 3, 4, 5, 6:
		if key := pick(w.r, w.holding); key != "" {
			delete(w.holding, key)
			ev := Event{Kind: EvRelease, Key: key, Ticket: w.ticket}
			if w.chance(0.05) {
				ev.Cause = record.CauseUnhealthy
			}
			return w.step(ev)
		}
	case 7:
		w.nextKey++
		key := record.Key(fmt.Sprintf("poll-%d", w.nextKey))
		w.reserved[key] = true
		return w.step(Event{Kind: EvReserve, Key: key, Ticket: w.ticket})
	case 8:
		if key := pick(w.r, w.reserved); key != "" {
			delete(w.reserved, key)
			if w.r.IntN(2) == 0 {
				return w.step(Event{Kind: EvUnreserve, Key: key})
			}
			w.waiting[key] = w.ticket
			return w.step(Event{Kind: EvAcquire, Key: key, Ticket: w.ticket})
		}
	case 9:
		if key := pick(w.r, w.waiting); key != "" {
			return w.step(Event{Kind: EvCancel, Key: key, Ticket: w.waiting[key]})
		}
	case 10:
		if key := pick(w.r, w.holding); key != "" {
			switch w.r.IntN(3) {
			case 0:
				if w.core.closed() { // it would be denied, and the lease would stand
					return nil
				}
				delete(w.holding, key)
				w.waiting[key] = w.ticket
				return w.step(Event{Kind: EvReplace, Key: key, Ticket: w.ticket})
			case 1:
				return w.step(Event{Kind: EvDetach, Key: key})
			default:
				return w.step(Event{Kind: EvReattach, Key: key, Ticket: w.ticket})
			}
		}
	case 11:
		switch {
		case w.chance(0.1):
			cfg := w.cfg
			cfg.Capacity, cfg.MaxUses = 1+w.r.IntN(3), []int{0, 1, 5}[w.r.IntN(3)]
			w.cfg = cfg
			return w.step(Event{Kind: EvReload, Config: &cfg})
		case w.chance(0.05):
			return w.step(Event{Kind: EvDrain, On: true})
		default:
			return w.step(Event{Kind: EvDrain})
		}
	}
	return w.step(Event{Kind: EvDetach, Key: "nobody"})
}

// word returns what a list would say of m now.
func (w *world) word(m *machineInCloud) fleet.Listed {
	switch {
	case m.dies > 0 && w.now.Mono >= m.dies:
		return fleet.ListedAbsent
	case m.dies > 0:
		return fleet.ListedDeleting
	case w.now.Mono < m.boots:
		return fleet.ListedCreating
	}
	return fleet.ListedRunning
}

func (w *world) list() error {
	since := w.now.Mono
	gap := 10 * time.Second
	if w.expect {
		gap = 2 * time.Second
	}
	w.nextList = w.now.Mono + gap
	if w.chance(0.05) {
		return w.step(Event{Kind: EvListFailed, Failure: failure.Failure{Kind: failure.Transient}})
	}
	if w.chance(0.02) {
		w.nextID++
		id := record.ID(fmt.Sprintf("f-%d", w.nextID))
		w.cloud[id] = &machineInCloud{id: id, boots: w.now.Mono, foreign: true}
	}
	if w.chance(0.03) { // a reclaim
		for _, id := range slices.Sorted(maps.Keys(w.cloud)) {
			if m := w.cloud[id]; m.dies == 0 && !m.foreign {
				m.dies = w.now.Mono
				break
			}
		}
	}
	truncated, empty := w.chance(0.05), w.chance(0.03)
	seen := map[record.ID]fleet.Listed{}
	for _, id := range slices.Sorted(maps.Keys(w.cloud)) {
		m := w.cloud[id]
		l := w.word(m)
		if l == fleet.ListedAbsent {
			delete(w.cloud, id)
			continue
		}
		if empty || m.hidden && w.faults || truncated && w.r.IntN(2) == 0 {
			continue
		}
		if w.chance(0.01) {
			l = fleet.Listed(1 + w.r.IntN(6))
		}
		seen[id] = l
	}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		l := seen[id]
		was, ok := w.shown[id]
		kind := EvAppeared
		if ok && was == l {
			continue
		}
		if ok {
			kind = EvChanged
		}
		if err := w.step(Event{Kind: kind, ID: id, Listed: l}); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.shown)) {
		if _, ok := seen[id]; !ok {
			if err := w.step(Event{Kind: EvMissing, ID: id}); err != nil {
				return err
			}
		}
	}
	w.shown = seen
	return w.step(Event{Kind: EvListed, Since: since})
}

// use carries out the batch in the required order: commit, then the rest. A crash may happen before the commit, or between it and the rest.
func (w *world) use() error {
	b := w.copies.take(w.core)
	if w.chance(0.005) {
		w.log("%v crash before commit", w.now.Mono)
		w.crash()
		return nil
	}
	w.saved.Apply(&b.Changes)
	if err := w.limits(b); err != nil {
		return err
	}
	if w.chance(0.005) {
		w.log("%v crash after commit", w.now.Mono)
		w.crash()
		return nil
	}
	w.wake, w.expect = b.Wake, b.Expecting
	if b.Wake != 0 && b.Wake <= w.now.Mono {
		return fmt.Errorf("wake at %v is not after now", b.Wake)
	}
	for _, f := range b.Facts {
		w.log("%v %s id=%s key=%s cause=%s n=%d %s", f.At.Mono, f.Kind, f.ID, f.Key, f.Cause, f.Count, f.Decision)
	}
	for _, g := range b.Grants {
		if err := w.granted(g); err != nil {
			return err
		}
	}
	for _, cmd := range b.Commands {
		if err := w.command(cmd); err != nil {
			return err
		}
	}
	return nil
}

// crash forgets everything except what was committed. Callers reattach the leases that they know of; all other callers are gone.
func (w *world) crash() {
	if w.jumped {
		w.creates = nil // the wall clock says how long the manager was stopped, so a jump of it looks like time that passed
	}
	w.start(true)
	for _, key := range slices.Sorted(maps.Keys(w.holding)) {
		if _, _, live := w.core.Lease(key); !live {
			delete(w.holding, key) // revoked at the moment of the crash: the caller learns it when it reattaches
		}
		w.ticket++
		w.late = append(w.late, pendingEvent{at: w.now.Mono, ev: Event{Kind: EvReattach, Key: key, Ticket: w.ticket}})
	}
}

// limits checks the batch against invariant 6.
func (w *world) limits(b *Batch) error {
	for _, cmd := range b.Commands {
		if cmd.Kind != CmdIncrease {
			continue
		}
		w.jumped = false
		w.creates = append(w.creates, creation{at: w.now.Mono, n: cmd.Count})
	}
	if w.cfg.Throttle.Limit <= 0 {
		return nil
	}
	burst, sum := w.cfg.Throttle.Burst, 0
	if burst == 0 {
		burst = w.cfg.MaxInstances
	}
	for n := len(w.creates) - 1; n >= 0; n-- {
		sum += w.creates[n].n
		span := (w.now.Mono - w.creates[n].at).Seconds()
		if float64(sum) > float64(burst)+w.cfg.Throttle.Limit*span+0.01 {
			return fmt.Errorf("invariant 6: %d creates in %.1f s, limit %v burst %d: %+v", sum, span, w.cfg.Throttle.Limit, burst, b.Commands)
		}
	}
	return nil
}

func (w *world) reply(after int, ev Event) {
	w.late = append(w.late, pendingEvent{at: w.now.Mono + time.Duration(w.r.IntN(after+1))*time.Millisecond, ev: ev})
}

func (w *world) failure() failure.Failure {
	return failure.Failure{Kind: failure.Kind(1 + w.r.IntN(7))}
}

func (w *world) command(cmd Command) error {
	ev := Event{Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	switch cmd.Kind {
	case CmdIncrease:
		ev.Kind, ev.Count = EvIncreased, cmd.Count
		if w.chance(0.15) {
			ev.Failure, ev.Count = w.failure(), w.r.IntN(cmd.Count+1)
			ev.Away = w.r.IntN(4) == 0
		}
		made := ev.Count
		if w.chance(0.05) {
			made = cmd.Count // it works, whatever the answer says
		}
		for range made {
			w.nextID++
			id := record.ID(fmt.Sprintf("i-%04d", w.nextID))
			m := &machineInCloud{id: id, born: w.now.Mono, boots: w.now.Mono + time.Duration(w.r.IntN(20))*time.Second, broken: w.chance(0.05)}
			if w.chance(0.03) {
				m.boots = w.now.Mono + time.Hour
			}
			m.hidden = w.chance(0.02)
			w.cloud[id] = m
		}
		w.reply(5000, ev)
	case CmdDelete:
		ev.Kind = EvDeleted
		m := w.cloud[cmd.ID]
		for key, id := range w.holding { //archtest:unordered a check
			if id == cmd.ID {
				return fmt.Errorf("invariant 3: %s is deleted while it runs %s", id, key)
			}
		}
		if w.chance(0.1) {
			ev.Failure = w.failure()
			ev.Failure.Kind = failure.Transient
		} else if m != nil && m.dies == 0 {
			m.dies = w.now.Mono + time.Duration(w.r.IntN(30))*time.Second
		}
		w.reply(2000, ev)
	case CmdPrepare:
		ev.Kind = EvPrepared
		m := w.cloud[cmd.ID]
		if w.chance(0.05) || m == nil || m.broken {
			ev.Failure = w.failure()
		}
		w.reply(8000, ev)
	case CmdHeartbeat:
		ev.Kind = EvBeat
		if w.chance(0.02) {
			ev.Failure = w.failure()
		}
		w.reply(500, ev)
	}
	return nil
}

func (w *world) granted(g Grant) error {
	w.log("%v grant %d %s on %s slot %d: %s", w.now.Mono, g.Kind, g.Key, g.ID, g.Slot, g.Cause)
	switch g.Kind {
	case GrantLease:
		if n := slices.IndexFunc(w.saved.Instances, func(r record.Instance) bool {
			return r.ID == g.ID && slices.ContainsFunc(r.Leases, func(l record.Lease) bool { return l.Key == g.Key && l.Slot == g.Slot })
		}); n < 0 {
			// It may have been revoked again in the same batch. Then the revocation follows.
			if _, _, live := w.core.Lease(g.Key); live {
				return fmt.Errorf("invariant 4: %s was granted without a committed lease", g.Key)
			}
		}
		if m := w.cloud[g.ID]; m != nil {
			m.uses++
		}
		delete(w.waiting, g.Key)
		w.holding[g.Key] = g.ID
	case GrantRevoked:
		delete(w.holding, g.Key)
	case GrantDenied:
		delete(w.waiting, g.Key)
		delete(w.reserved, g.Key)
		if g.Cause == record.CauseUnknownKey {
			delete(w.holding, g.Key)
		}
	}
	return nil
}

// settleDown stops the faults, lets the callers finish, and expects a fixed point without leaks.
func (w *world) settleDown() error {
	w.faults = false
	for _, m := range w.cloud { //archtest:unordered all alike
		m.broken, m.hidden = false, false
		if m.foreign {
			m.dies = w.now.Mono
		}
	}
	if err := errors.Join(w.step(Event{Kind: EvDrain}), w.use()); err != nil {
		return err
	}
	s := w.core.Summary()
	busy := func() bool {
		return s.Deleting+s.Draining+s.Creating+s.Preparing+s.Requested+s.Waiters+s.Leases > 0 || s.BackoffFor > 0
	}
	// There may be a policy edge at the end, a back-off lasts up to an hour, and the remaining instances must stay idle for idle_time.
	for n, quiet := 0, 0; n < 1500 || n < 6000 && quiet < 300; n++ {
		if key := pick(w.r, w.holding); key != "" {
			delete(w.holding, key)
			w.ticket++
			w.late = append(w.late, pendingEvent{at: w.now.Mono, ev: Event{Kind: EvRelease, Key: key, Ticket: w.ticket}})
		}
		if err := w.turn(false); err != nil {
			return fmt.Errorf("settling: %w", err)
		}
		s = w.core.Summary()
		if quiet++; busy() {
			quiet = 0
		}
	}
	var wrong []string
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	say(s.Waiters > 0, "invariant 8: %d still wait: %s", s.Waiters, s.WaitCause)
	say(s.Leases > 0, "invariant 4: %d leases without a caller", s.Leases)
	say(s.Deleting+s.Draining+s.Creating+s.Preparing+s.Requested > 0, "it does not settle: %+v", s)
	ours := 0
	for id, m := range w.cloud { //archtest:unordered a sum
		i := w.core.reg.Get(id)
		say(!m.foreign && i == nil, "invariant 5: %s is not in the register", id)
		if i != nil && i.State == record.Ready {
			ours++
		}
	}
	say(ours != s.Ready, "%d ready instances exist, the register has %d", ours, s.Ready)
	want := min(s.Decision.IdleTarget, s.MaxInstances*w.core.reg.PerInstance())
	say(s.Supply < want && w.core.reg.Existing() < s.MaxInstances, "supply %d, wanted %d", s.Supply, want)
	before := s.Ready
	for n := 0; n < 300; n++ {
		if err := w.turn(false); err != nil {
			return err
		}
	}
	if now := w.core.Summary(); now.Active.Index == s.Active.Index {
		say(now.Ready != before, "invariant 7: %d ready became %d", before, now.Ready)
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}
