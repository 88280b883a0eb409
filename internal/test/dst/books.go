package dst

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// books is what the oracles remember in addition to the model itself.
type books struct {
	batchNo  uint64
	fed      int            // events stepped since the last batch
	grants   []scaler.Grant // the grants of the current batch
	quiet    bool           // this batch is one event, and consists of answers only
	arrived  int            // machines that were listed for the first time since the last batch
	capacity int            // the largest capacity in force since the last batch
	uses     int
	limit    int
	idleTime time.Duration // the shortest idle_time in force since the last batch
	doubtful uint64        // a create with an unknown outcome, whose answer is alone in this batch; 0: none
	doubtOf  int           // instances that were expected of it before

	ledger
	prompt
	owners
	places
	doubts
	condemned []*machine // of which this batch hears that they must not be used
	silenced  []*machine // the same, for those that did not answer a caller
	young     []*machine // whose service this batch ends within their youth, before a job has left them

	openBreaker bool // whether committed facts say that the breaker is open

	creates    []creation
	throttles  []throttled
	minted     []creation    // tokens that a jump of the wall clock may have added at a restart
	drift      time.Duration // sum of all jumps of the wall clock
	spentDrift time.Duration // drift when the last create was committed
	moved      time.Duration // when the last create or delete was sent
	moves      []moved       // the changes of state that this batch commits
}

type creation struct {
	at time.Duration
	n  float64
}

// throttled is a throttle and the moment from which it is in force.
type throttled struct {
	from         time.Duration
	limit, burst float64
}

func (b *books) reset() {
	*b = books{owners: owners{losses: b.losses[:0], creates0: b.creates0[:0]}, condemned: b.condemned[:0], young: b.young[:0], creates: b.creates[:0], throttles: b.throttles[:0], minted: b.minted[:0], moves: b.moves[:0], ledger: ledger{walls: b.walls[:0]},
		places: places{b.waits[:0]}, doubts: doubts{b.inDoubt[:0], b.heard[:0]}}
}

// widen notes limits that are in force from now on. In this batch, the earlier limits are valid, too.
func (w *world) widen() {
	orMax := func(n int) int {
		if n <= 0 {
			return math.MaxInt
		}
		return n
	}
	w.capacity = max(w.capacity, w.cfg.Capacity)
	w.uses = max(w.uses, orMax(w.cfg.MaxUses))
	w.limit = max(w.limit, orMax(maxInstances(&w.cfg)))
	w.idleTime = min(w.idleTime, w.cfg.Schedule.At(w.now.Wall).Settings.IdleTime)
}

// batchEnds resets what the oracles remember for one batch.
func (w *world) batchEnds() {
	w.batchNo++
	w.fed, w.arrived, w.capacity, w.uses, w.limit, w.idleTime, w.doubtful = 0, 0, 0, 0, 0, time.Hour, 0
	w.ledgerEnds()
	w.restWas, w.answered1 = w.restUntil, false
	w.fruitless = w.saved.Meta.Fruitless
	w.creates0 = append(w.creates0[:0], w.saved.Intents...)
	w.widen()
}

// noteEvent remembers what the oracles need to know of the next event.
func (w *world) noteEvent(ev *scaler.Event) {
	w.fed++
	w.ledgerEvent(ev)
	w.queues(ev)
	w.doubtHears(ev)
	if ev.Kind == scaler.EvIncreased {
		w.answered1 = true
		w.noteAnswer(ev)
	}
	w.hears(ev)
	w.paces(ev)
	if ev.Kind == scaler.EvPrepared {
		m := w.byID[ev.ID]
		if ev.Failure.Failed() {
			m.refused = w.batchNo
		} else if m.serial == ev.Serial && !m.prepared {
			m.prepared, m.idleAt, m.idleDrift = true, w.now.Mono, w.drift
			m.readyAt, m.readyDrift = m.idleAt, m.idleDrift
		}
	}
}

// apply commits the changes of a batch and updates the model's view of what is committed.
func (w *world) apply(c *record.Changes) {
	w.judgeLedger(c)
	w.moves, w.young = w.moves[:0], w.young[:0]
	for i := range c.Put {
		rec := &c.Put[i]
		m := w.byID[rec.ID]
		if m == nil {
			w.fail("5", "a record of %s is committed, but this machine never existed", rec.ID)
			return
		}
		if from := w.recordOf(rec.ID); from != nil {
			w.noteYoung(m, from, rec)
		}
		from := m.state
		m.forgot = m.forgot && from == 0
		if m.serial != rec.Serial {
			m.serial, m.prepared, m.uses, m.deletedSerial, from = rec.Serial, false, 0, 0, 0
			m.bad, m.retired, m.final = badWord{}, 0, false
			m.firstAt, m.firstLife = w.lastStep, w.life
		}
		if from != rec.State {
			w.moves = append(w.moves, moved{rec.ID, from, rec.State})
			m.prior = from
			m.priorAt, m.priorDrift, m.stateAt, m.stateDrift = m.stateAt, m.stateDrift, w.lastStep, w.drift
			m.bad.least, m.strayTo = 0, 0
			if rec.State == record.Gone {
				m.wasGone, m.accepts, m.again = true, 0, 0
			}
		}
		w.cover.move(from, rec.State)
		m.state = rec.State
	}
	for _, id := range c.Drop {
		w.byID[id].state, w.byID[id].forgot = 0, true
	}
	w.saved.Apply(c)
	w.judgeDoubt()
}

// recordOf is the committed record of an instance, or nil.
func (w *world) recordOf(id record.ID) *record.Instance {
	at, ok := slices.BinarySearchFunc(w.saved.Instances, id, func(r record.Instance, id record.ID) int {
		return strings.Compare(string(r.ID), string(id))
	})
	if !ok {
		return nil
	}
	return &w.saved.Instances[at]
}

// occupy notes that j was told of its slot.
func (w *world) occupy(j *job, g *scaler.Grant) {
	m := w.byID[g.ID]
	if m == nil || g.Slot < 0 || g.Slot >= len(m.slots) {
		w.fail("1", "%s was told that it holds slot %d of %s", g.Key, g.Slot, g.ID)
		return
	}
	if other := m.slots[g.Slot]; other != 0 {
		w.fail("1", "%s was told that it holds slot %d of %s, which %s was told to hold", g.Key, g.Slot, g.ID, w.jobs[other-1].key)
		return
	}
	m.slots[g.Slot] = j.no + 1
	m.held++
	j.on, j.slot, j.serial, j.use, j.toldIn = m, g.Slot, g.Serial, g.Use, w.batchNo
}

// leave notes that j has not had its slot since at.
func (w *world) leave(j *job, at time.Duration) {
	j.on.slots[j.slot] = 0
	j.on.idleAt, j.on.idleDrift = at, w.drift
	j.on.held--
	j.on = nil
}

// committed reports whether the store contains this lease as it was told.
func (w *world) committed(g *scaler.Grant) (*record.Instance, bool) {
	rec := w.recordOf(g.ID)
	if rec == nil || rec.Serial != g.Serial {
		return rec, false
	}
	for i := range rec.Leases {
		if rec.Leases[i].Key == g.Key && rec.Leases[i].Slot == g.Slot {
			return rec, true
		}
	}
	return rec, false
}

// judgeLease checks a lease that j is told of against invariants 1, 2, 4 and 9.
func (w *world) judgeLease(j *job, g *scaler.Grant) {
	m := w.byID[g.ID]
	rec, stored := w.committed(g)
	switch {
	case m == nil || rec == nil:
		w.fail("9", "%s was leased %s, which has no committed record", g.Key, g.ID)
	case j.on != nil:
		w.fail("1", "%s was told of a lease on %s while it holds one on %s", g.Key, g.ID, j.on.id)
	case g.Slot < 0 || g.Slot >= w.capacity:
		w.fail("1", "%s was told of slot %d of %s, capacity %d", g.Key, g.Slot, g.ID, w.capacity)
	case m.held >= w.capacity:
		w.fail("1", "%s is the %dth on %s, capacity %d", g.Key, m.held+1, g.ID, w.capacity)
	case m.uses >= w.uses || g.Use > w.uses:
		w.fail("2", "%s is use %d of %s (%d were told before), max_use_count %d", g.Key, g.Use, g.ID, m.uses, w.uses)
	case g.Use <= m.uses:
		w.fail("2", "%s is said to be use %d of %s, of which %d were told before", g.Key, g.Use, g.ID, m.uses)
	case !stored && (w.fed == 1 || w.live1(g.Key)) && !w.endedBehind(g):
		w.fail("4", "%s was told of slot %d of %s, which is not committed", g.Key, g.Slot, g.ID)
	case rec.ReadyAt == 0 || rec.Serial != g.Serial || w.fed == 1 && rec.State != record.Ready && rec.Cause != record.CauseAboveLimit:
		w.fail("9", "%s was leased %s, whose committed record is %s, serial %d (told: %d)", g.Key, g.ID, rec.State, rec.Serial, g.Serial)
	case m.shown != fleet.ListedRunning && m.ran != w.batchNo:
		w.fail("9", "%s was leased %s, which the last list does not show running but %s", g.Key, g.ID, m.shown)
	case !m.prepared:
		w.fail("9", "%s was leased %s, whose preparation never worked", g.Key, g.ID)
	}
	w.judgeFit(m, g)
	w.judgeReach(m, g)
	w.judgeFinal(m, g)
	if m != nil {
		m.uses = max(m.uses+1, g.Use)
	}
}

// endedBehind reports whether a later answer of the same batch ends the lease of g.
func (w *world) endedBehind(g *scaler.Grant) bool {
	behind := false
	for i := range w.grants {
		o := &w.grants[i]
		if o == g {
			behind = true
		} else if behind && o.Key == g.Key && o.ID == g.ID && (o.Kind == scaler.GrantRevoked || o.Kind == scaler.GrantReleased) {
			return true
		}
	}
	return false
}

func (w *world) live1(key record.Key) bool {
	_, _, ok := w.core.Lease(key)
	return ok
}

// judgeReattach checks a reattached lease: it must be the one that the caller had, or one that was granted but never told.
func (w *world) judgeReattach(j *job, g *scaler.Grant) {
	if j.on != nil {
		if j.on.id != g.ID || j.slot != g.Slot {
			w.fail("4", "%s held slot %d of %s and was given back slot %d of %s", g.Key, j.slot, j.on.id, g.Slot, g.ID)
		}
		return
	}
	if _, stored := w.committed(g); !stored && (w.fed == 1 || w.live1(g.Key)) && !w.endedBehind(g) {
		w.fail("4", "%s was given back slot %d of %s, which is not committed", g.Key, g.Slot, g.ID)
	}
	if m := w.byID[g.ID]; m != nil {
		m.uses = max(m.uses, g.Use)
	}
}

// stands checks that the lease of a caller is still in the books.
func (w *world) stands(j *job) {
	id, slot, ok := w.core.Lease(j.key)
	if !ok || id != j.on.id || slot != j.slot {
		w.fail("4", "%s was told that it holds slot %d of %s; in the books it is %s slot %d (%v)", j.key, j.slot, j.on.id, id, slot, ok)
	}
}

// judgeStanding checks every active caller after a batch.
func (w *world) judgeStanding() {
	kept := w.live[:0]
	for _, no := range w.live {
		j := &w.jobs[no]
		if j.on != nil {
			w.stands(j)
			w.judgeOrphan(j)
		}
		if j.state == jobWaiting && j.deadline > 0 && w.lastStep >= j.deadline && len(j.requests) > 0 {
			for _, r := range j.requests {
				if r.ticket == j.ticket {
					w.fail("8", "%s was not told anything by its deadline %v", j.key, j.deadline-began)
				}
			}
		}
		if j.state == jobDone && j.on == nil && len(j.requests) == 0 {
			j.listed = false
			continue
		}
		kept = append(kept, no)
	}
	w.live = kept
}

// denial notes the cause of a refusal.
func (w *world) denial(g *scaler.Grant) {
	w.cover.denials[g.Cause]++
	if g.Cause == record.CauseNone {
		w.fail("8", "%s was refused, but no cause was given", g.Key)
	}
	if s := w.cfg.Schedule.At(time.Unix(0, w.walls[0])).Settings; g.Cause == record.CausePolicy && w.quiet {
		leases := 0
		for i := range w.saved.Instances {
			leases += len(w.saved.Instances[i].Leases)
		}
		if n := policy.IdleTarget(s, leases, w.waiters()); n > 0 {
			w.fail("reason", "%s was told that the policy creates nothing, and the policy keeps %d slots free", g.Key, n)
		}
	}
}
