package dst

import (
	"math"
	"strconv"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

const never = time.Duration(math.MaxInt64)

// machine is a machine as it really is at the provider, with what the oracles know of it.
type machine struct {
	no       int
	id       record.ID
	foreign  bool // our manager did not ask for it
	born     time.Duration
	runs     time.Duration // when it starts to run
	dying    time.Duration // since when it is really being deleted
	gone     time.Duration // since when it does not exist
	replaced bool          // the group replaces it
	replaces bool          // the group started it in place of another one
	stuck    bool          // its delete takes effect when the faults end
	broken   bool          // no preparation succeeds
	late     bool          // it appears only minutes after its create was accepted
	denied   bool          // the provider said clearly that it did not create it
	word     fleet.Listed  // what lists say instead of the truth, until wordTo
	flaps    bool          // this alternates between two states in which it does not run
	wordTo   time.Duration
	hidden   time.Duration // lists leave it out until then

	shown    fleet.Listed  // its state in the last complete list that was reported
	ran      uint64        // the last batch in which it was shown running
	missed   int           // consecutive complete lists without it, since it was created or last listed
	lacked   int           // the same, within this life of the manager
	lackedAt time.Duration // since when
	went     uint64        // the serial with which it counted as a loss, because lists lacked it before its delete
	accepted bool          // a delete was accepted

	lackedNow     bool          // the list that is being reported is the first to lack it
	lackedTwice   bool          // a list that was suspiciously short was the first to lack it
	strayTo       time.Duration // when it must run again, or be retired: it is ready, and lists show it as not running; 0: they do not
	unreached     unreached     // the latest time that the provider could not say how to reach it
	serial        uint64        // serial in the committed record
	firstAt       time.Duration // when that serial was committed first
	firstLife     uint32        // in which life of the manager
	prepared      bool          // a preparation for this serial succeeded
	uses          int           // grants told, for this serial
	deletedSerial uint64        // a delete was sent for this serial
	state         record.State  // state in the committed record
	stateAt       time.Duration // since when
	stateDrift    time.Duration // the wall clock's drift at that time
	priorAt       time.Duration // since when it had the committed state before
	priorDrift    time.Duration
	final         bool          // its delete was committed
	prior         record.State  // the committed state before
	ranBefore     time.Duration // the same, without the latest list that did
	wasShown      fleet.Listed  // its state in lists before that last changed
	bad           badWord
	silent        uint64        // serial that did not answer a caller in time: no new lease, and the others go on
	beatOp        uint64        // number of the latest heartbeat
	beatIn        time.Duration // since when the machine was in the state in which that was sent
	deleteOp      uint64        // the latest delete that was sent: its number, the serial, and the life of the manager
	deleteSerial  uint64
	deleteLife    uint32
	accepts       time.Duration // when the manager heard that it was accepted; 0: it did not
	again         time.Duration // when it must be repeated; 0: it has no answer
	notBefore     time.Duration // before when the provider does not want it repeated
	forgot        bool          // its record was dropped, and the next one is new
	wasGone       bool          // it counted as gone since, or its name was listed in another state
	retired       uint64        // serial for which it was retired
	retiredFor    record.Cause
	refused       uint64        // the last batch with a preparation that failed for good
	ranAt         time.Duration // when a list last showed it running
	slots         [12]int32     // 1 + the index of the job that was told that it holds the slot
	held          int
	idleAt        time.Duration // when it became ready, or when the last known lease ended
	idleDrift     time.Duration // the wall clock's drift at that time
	readyAt       time.Duration // when its preparation worked
	readyDrift    time.Duration // the wall clock's drift at that time
}

func (m *machine) exists(t time.Duration) bool { return m.born <= t && t < m.gone }

// cloud is the real state of the provider.
type cloud struct {
	machines  []*machine
	byID      map[record.ID]*machine
	spare     []*machine // machines of earlier worlds of this worker, to reuse
	awayUntil time.Duration
	badUntil  time.Duration // until when new machines fail soon after they are ready
	noStock   time.Duration // until when the provider has no machines to give
	quota     int           // 0: no quota
	quotaTo   time.Duration
	numbered  bool // a new machine has the lowest free number
	confused  bool // IDs were mistaken for others: it is unknown which unlisted machine is meant
}

func (c *cloud) reset() {
	c.spare = append(c.spare, c.machines...)
	c.machines = c.machines[:0]
	clear(c.byID)
	c.awayUntil, c.badUntil, c.noStock, c.quota, c.quotaTo, c.confused, c.numbered = 0, 0, 0, 0, 0, false, false
}

// newMachine makes a machine with a new name.
func (w *world) newMachine() *machine {
	no := len(w.machines)
	m := &machine{}
	if n := len(w.spare); n > 0 {
		m, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	for len(w.names) <= no {
		text := "i-" + strconv.Itoa(len(w.names)+1001)
		w.names = append(w.names, record.ID(text))
	}
	*m = machine{no: no, id: w.names[no], born: w.now.Mono, runs: w.now.Mono, gone: never, dying: never}
	w.machines = append(w.machines, m)
	w.byID[m.id] = m
	return m
}

// populate makes the machines that exist before the first start.
func (w *world) populate() {
	w.numbered = w.hit(FaultNumbered)
	if w.hit(FaultPreexisting) {
		for n := 1 + w.dice.below(3); n > 0; n-- {
			m := w.newMachine()
			m.foreign = true
		}
	}
}

// anyMachine is one of our machines that exists and is listed; nil: none.
func (w *world) anyMachine(d *dice) *machine {
	from := d.below(max(len(w.machines), 1))
	for n := range w.machines {
		m := w.machines[(from+n)%len(w.machines)]
		if !m.foreign && m.shown != fleet.ListedAbsent && m.exists(w.now.Mono) {
			return m
		}
	}
	return nil
}

func (w *world) existing() (n int) {
	for _, m := range w.machines {
		if m.exists(w.now.Mono) {
			n++
		}
	}
	return n
}

func (w *world) away() bool { return w.faulty && w.now.Mono < w.awayUntil }

// planBoot draws the life of a new machine.
func (w *world) planBoot(m *machine) {
	d := w.dice.at(streamMachine, uint64(m.no))
	m.runs = m.born + d.span(time.Second, w.setup.boot)
	k := uint64(m.no)
	switch {
	case w.hitAt(FaultNeverBoots, k):
		m.runs = never
	case w.hitAt(FaultSlowBoot, k):
		m.runs = m.born + w.dice.span(time.Minute, 8*time.Minute)
	case w.hitAt(FaultProviderTimeout, k):
		m.runs, m.word, m.wordTo = never, fleet.ListedTimeout, never
	}
	m.broken = w.hitAt(FaultPrepareBroken, k)
}

// renamed gives a new machine the name of one that is gone and is in no list, as with a fixed list of hosts; nil: there is none.
func (w *world) renamed() *machine {
	missed := 4
	if w.numbered {
		missed = 1
	}
	for _, m := range w.machines {
		if !m.foreign && m.gone <= w.now.Mono && m.shown == fleet.ListedAbsent && m.held == 0 && m.missed >= missed && m.deletedSerial == m.serial {
			fresh := machine{no: m.no, id: m.id, born: w.now.Mono, gone: never, dying: never, serial: m.serial, uses: m.uses,
				firstAt: m.firstAt, firstLife: m.firstLife,
				prepared: m.prepared, deletedSerial: m.deletedSerial, retired: m.retired, retiredFor: m.retiredFor,
				bad: m.bad} // its serial tells whom the bad word is about
			*m = fresh
			return m
		}
	}
	return nil
}

// make creates n machines. denied: the answer says clearly that it did not.
func (w *world) make(n int, denied bool) {
	for range n {
		var m *machine
		if w.hit(FaultNameReused) || w.numbered {
			if m = w.renamed(); m != nil {
				w.confused = true
			}
		}
		if m == nil {
			m = w.newMachine()
		}
		m.born, m.denied = w.now.Mono, denied
		if w.hit(FaultCreateLate) {
			m.born, m.late = w.now.Mono+w.dice.skewed(10*time.Second, 10*time.Minute), true
		}
		w.planBoot(m)
	}
}

// createFailure draws the failure of a create, if any.
func (w *world) createFailure() (f failure.Failure) {
	for n, fault := range [...]Fault{FaultCreateTransient, FaultCreateNotFound, FaultCreateCapacity, FaultCreateQuota, FaultCreateThrottled,
		FaultCreateConfig, FaultCreateUnhealthy} {
		if w.likely[fault] > 0 && w.hit(fault) {
			f = failure.Failure{Kind: failure.Kind(n + 1), Message: "planted"}
			if f.Kind == failure.Throttled && w.dice.below(2) == 0 {
				f.RetryAfter = w.dice.span(time.Second, time.Minute)
			}
			w.oddly(&f)
			return f
		}
	}
	return f
}

// increase is a create at the provider, and its answer.
func (w *world) increase(cmd *scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvIncreased, Op: cmd.Op, Count: cmd.Count}
	d := w.roll(streamLatency)
	latency := d.span(50*time.Millisecond, 3*time.Second)
	if w.away() {
		ev.Away, ev.Count = true, 0
		ev.Failure = failure.Failure{Kind: failure.Transient, Message: "the plugin is away"}
		if w.hit(FaultCreateLies) {
			w.make(cmd.Count, false)
		}
		w.reply(latency, &ev)
		return
	}
	if f := w.createFailure(); f.Failed() {
		ev.Failure, ev.Count = f, 0
		if w.dice.below(3) == 0 {
			if ev.Count = w.dice.below(cmd.Count); cmd.Op%4 == 3 { // all of it, with an error beside: no draw of its own
				ev.Count = cmd.Count
			}
		}
	} else if w.hit(FaultCreatePartial) {
		ev.Count = w.dice.below(cmd.Count)
		if w.dice.below(2) == 0 {
			ev.Failure = failure.Failure{Kind: pick(&w.dice, failure.Capacity, failure.Quota, failure.Transient), Message: "in part"}
		}
	}
	w.bounded(&ev)
	made, denied := ev.Count, false
	if w.hit(FaultCreateLies) {
		if !ev.Failure.Failed() {
			ev.Failure = failure.Failure{Kind: failure.Kind(1 + w.dice.below(7)), Message: "a lie"}
			ev.Count = w.dice.below(cmd.Count)
		}
		made = cmd.Count
		denied = ev.Failure.Kind != failure.Transient
	}
	switch {
	case w.hit(FaultCreateSlow):
		latency = w.dice.skewed(2*time.Second, 2*time.Minute)
	case w.hit(FaultCallHangs): // it is unknown what it did
		latency = w.hangs(&ev)
		ev.Count = 0
	}
	w.make(made, denied)
	w.reply(latency, &ev)
}

// hangs makes ev the answer to a call that never returns: after its time-out it failed. It returns the time-out.
func (w *world) hangs(ev *scaler.Event) time.Duration {
	ev.Failure = failure.Failure{Kind: failure.Transient, Message: "no answer in time"}
	ev.Away = w.dice.below(2) == 0
	return pick(&w.dice, 30*time.Second, 2*time.Minute, 10*time.Minute)
}

// oddly changes how long a failure asks to wait.
func (w *world) oddly(f *failure.Failure) {
	if f.Failed() && w.hit(FaultOddRetryAfter) {
		f.RetryAfter = pick(&w.dice, -time.Minute, time.Nanosecond, 40*time.Minute, 26*time.Hour, 30*24*time.Hour, math.MaxInt64)
	}
}

// bounded applies the current limits of the account and the region.
func (w *world) bounded(ev *scaler.Event) {
	if !w.faulty {
		return
	}
	if w.hit(FaultStockOut) {
		w.noStock = w.now.Mono + w.dice.skewed(10*time.Second, 20*time.Minute)
	}
	switch {
	case w.now.Mono < w.noStock:
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Capacity, Message: "no stock"}
	case w.now.Mono < w.quotaTo:
		if room := max(w.quota-w.existing(), 0); room < ev.Count {
			ev.Count, ev.Failure = room, failure.Failure{Kind: failure.Quota, Message: "over quota"}
		}
	}
}

// decrease is a delete at the provider, and its answer.
func (w *world) decrease(cmd *scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvDeleted, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	d := w.roll(streamLatency)
	latency, takes := d.span(50*time.Millisecond, 2*time.Second), d.span(0, 40*time.Second)
	m := w.byID[cmd.ID]
	switch {
	case w.away():
		ev.Away, ev.Failure = true, failure.Failure{Kind: failure.Transient, Message: "the plugin is away"}
	case m == nil || !m.exists(w.now.Mono):
		ev.Failure = failure.Failure{Kind: failure.NotFound, Message: "no such instance"}
		if m != nil {
			m.accepted = true
		}
	case w.hit(FaultDeleteFails):
		ev.Failure = failure.Failure{Kind: pick(&w.dice, failure.Transient, failure.Throttled, failure.Config, failure.Unhealthy,
			failure.Quota), Message: "planted"}
		if w.dice.below(4) == 0 {
			ev.Failure.RetryAfter = w.dice.span(time.Second, 3*time.Minute)
		}
	default:
		w.accept(m, takes, &ev)
	}
	if w.hit(FaultCallHangs) {
		latency = w.hangs(&ev)
	}
	w.oddly(&ev.Failure)
	w.reply(latency, &ev)
}

// accept deletes m, whatever the answer is.
func (w *world) accept(m *machine, takes time.Duration, ev *scaler.Event) {
	if m.dying == never {
		m.dying = w.now.Mono
		if w.hit(FaultDeleteStuck) {
			m.stuck = true
		} else {
			m.gone = w.now.Mono + takes
			if k := uint64(m.no); w.hit(FaultRises) {
				w.add(item{at: m.gone + w.dice.skewed(time.Second, 10*time.Minute), kind: itemRise, n: int32(m.no), ev: -1, act: uint8(k)})
			}
		}
	}
	if w.hit(FaultDeleteLies) {
		ev.Failure = failure.Failure{Kind: pick(&w.dice, failure.NotFound, failure.Transient, failure.Throttled), Message: "a lie"}
	}
	m.accepted = m.accepted || !ev.Failure.Failed() || ev.Failure.Kind == failure.NotFound
}

// rise makes a machine exist again.
func (w *world) rise(m *machine, _ uint64) {
	if w.faulty && m.gone <= w.now.Mono {
		w.confused = true
		m.gone, m.dying, m.stuck, m.runs, m.wordTo, m.accepted = never, never, false, w.now.Mono, 0, false
	}
}

// prepare connects to a machine and runs the ready command.
// preparationWords are the messages of failed preparations: the words of a create are others.
var preparationWords = func() (words [failure.Unhealthy + 1]string) {
	for k := range words {
		words[k] = "planted: the preparation failed as " + failure.Kind(k).String()
	}
	return words
}()

func (w *world) prepare(cmd *scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvPrepared, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	latency := w.roll(streamLatency).span(200*time.Millisecond, 8*time.Second)
	m := w.byID[cmd.ID]
	fail := func(k failure.Kind) { ev.Failure = failure.Failure{Kind: k, Message: preparationWords[k]} }
	switch {
	case w.away():
		ev.Away = true
		fail(failure.Transient)
	case m == nil || !m.exists(w.now.Mono):
		fail(failure.NotFound)
	case m.broken:
		fail(pick(&w.dice, failure.Transient, failure.Transient, failure.Unhealthy))
	case w.hit(FaultPrepareFails):
		fail(pick(&w.dice, failure.Transient, failure.Throttled))
		ev.On = ev.Failure.Kind == failure.Transient && cmd.Op%2 == 0 // on the way: no draw of its own, so that the worlds stay as they are
	case w.hit(FaultPrepareRefused):
		fail(pick(&w.dice, failure.NotFound, failure.Capacity, failure.Quota, failure.Config, failure.Unhealthy))
	case w.hit(FaultPrepareHangs):
		fail(failure.Transient)
		latency = cmd.Timeout
	default:
		w.youth(m, latency)
	}
	w.oddly(&ev.Failure)
	w.reply(latency, &ev)
}

// youth decides whether a machine in preparation will be an early failure.
func (w *world) youth(m *machine, latency time.Duration) {
	if w.hit(FaultDiesYoung) {
		w.badUntil = max(w.badUntil, w.now.Mono+w.dice.skewed(10*time.Second, 30*time.Minute))
	}
	if w.faulty && w.now.Mono < w.badUntil {
		w.later(latency+w.roll(streamLatency).span(time.Second, 100*time.Second), itemHeal, m.no, healYouth)
	}
}

// dieYoung ends a ready machine: it becomes unhealthy, or it disappears.
func (w *world) dieYoung(m *machine, stale bool) {
	if !w.faulty || !m.exists(w.now.Mono) {
		return
	}
	if m.no%2 == 0 && !stale {
		w.step(scaler.Event{Kind: scaler.EvUnhealthy, ID: m.id, Serial: m.serial, Cause: record.CauseUnhealthy})
		return
	}
	m.gone = w.now.Mono
}

// beat sends a heartbeat.
func (w *world) beat(cmd *scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvBeat, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	latency := w.roll(streamLatency).span(10*time.Millisecond, time.Second)
	m := w.byID[cmd.ID]
	if m != nil {
		m.beatOp, m.beatIn = cmd.Op, m.stateAt
	}
	switch {
	case w.away():
		ev.Away, ev.Failure = true, failure.Failure{Kind: failure.Transient, Message: "the plugin is away"}
	case m == nil || !m.exists(w.now.Mono):
		ev.Failure = failure.Failure{Kind: failure.NotFound, Message: "no such instance"}
	case w.hit(FaultBeatUnhealthy):
		ev.Failure = failure.Failure{Kind: failure.Unhealthy, Message: "planted"}
	case w.hit(FaultBeatFails):
		ev.Failure = failure.Failure{Kind: pick(&w.dice, failure.Transient, failure.Throttled, failure.Config), Message: "planted"}
		latency = w.dice.skewed(latency, 30*time.Second)
	case w.hit(FaultCallHangs):
		latency = w.hangs(&ev)
	}
	w.oddly(&ev.Failure)
	w.reply(latency, &ev)
}
