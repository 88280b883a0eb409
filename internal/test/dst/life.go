package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

const groupID = "group-1"

// start begins a life of the manager from the committed state, as the shell does.
func (w *world) start() {
	if !w.setup.store && w.life > 0 || w.loseState {
		w.forgetState()
	}
	bound := w.saved.Meta.Group
	w.known = bound != "" && !w.saved.Empty()
	w.saved.Meta.Group = groupID
	w.life++
	w.over, w.drained, w.endLife, w.wakeAt, w.expecting, w.stepped = 0, false, false, 0, false, false
	w.listsFail = false
	core, err := scaler.New(w.cfg, cloneState(&w.saved), w.known, w.now)
	if err != nil {
		w.fail("restart", "the committed state is refused: %v", err)
		return
	}
	w.real, w.core = core, core
	w.lifeWall = w.now.Wall.UnixNano()
	if w.corrected = 0; awaitsCorrection(&w.saved.Meta) {
		w.corrected, w.restUntil = w.saved.Meta.BackoffUntil, 0
	}
	w.judgeRestored()
	if w.opts.wrap != nil {
		w.core = w.opts.wrap(core)
	}
	if w.opts.journal {
		w.openJournal()
	}
	w.watch()
	w.throttleRestarted()
	w.waits = w.waits[:0]
	w.doubtsRestart()
	w.breakerRestarted()
	w.lifeStart, w.creates0 = w.now.Mono, append(w.creates0[:0], w.saved.Intents...)
	w.pausedBy, w.turns, w.heldFrom, w.pausedTo, w.listedAt = false, false, 0, 0, 0
	if w.drift != w.backDrift { // the end of the pause was read from another clock
		w.restUntil, w.backUntil = 0, w.now.Mono+time.Hour
	}
	for _, m := range w.machines {
		m.accepts, m.again, m.notBefore = 0, 0, 0
	}
	w.widen()
	w.callersRestart()
	if w.opts.trace {
		w.say("start", "life %d begins: known %v, %d records, %d creates open, %d leases live", w.life, w.known, len(w.saved.Instances),
			len(w.saved.Intents), w.core.Summary().Leases)
	}
	w.arm(w.now.Mono + 1)
}

func cloneState(s *record.Saved) record.Saved {
	out := record.Saved{Meta: s.Meta, Instances: slices.Clone(s.Instances), Intents: slices.Clone(s.Intents)}
	for i := range out.Instances {
		out.Instances[i].Leases = slices.Clone(out.Instances[i].Leases)
	}
	return out
}

// forgetState empties the store. The store held the promises about leases, so callers have nothing to come back to.
func (w *world) forgetState() {
	w.saved = record.Saved{}
	w.loseState = false
	w.forgotten = true
	w.creates = w.creates[:0]
	w.minted = w.minted[:0]
	w.openBreaker = false
	w.restUntil, w.backUntil, w.backWall = 0, 0, 0
	w.losses = w.losses[:0]
	for _, m := range w.machines {
		m.serial, m.prepared, m.uses, m.deletedSerial, m.state, m.bad, m.retired = 0, false, 0, 0, 0, badWord{}, 0
		m.final = false
	}
	for i := range w.jobs {
		w.orphaned(&w.jobs[i])
	}
}

// crash ends this life and starts the next one after a while.
func (w *world) crash() {
	if w.opts.trace {
		w.say("crash", "the manager is gone")
	}
	w.cover.lives++
	d := w.roll(streamRestart)
	away := pick(d, 0, time.Second, 10*time.Second, time.Minute, 10*time.Minute)
	if !w.opts.small && w.hit(FaultLongDown) {
		away = w.dice.skewed(10*time.Minute, 24*time.Hour)
	}
	if w.hit(FaultWallWhileDown) {
		w.jumpWall(w.dice.skewed(time.Second, 5*time.Hour), w.dice.below(2) == 0)
	}
	if w.setup.store && w.hit(FaultStateLost) {
		w.loseState = true
	}
	w.batchEnds()
	w.advance(w.now.Mono + away)
	w.start()
}

// beginShutdown tells the core to shut down, and how much time it has.
func (w *world) beginShutdown(del bool) {
	w.over, w.deletes = 1, del
	w.step(scaler.Event{Kind: scaler.EvShutdown, On: del})
	d := &w.dice
	w.later(d.span(0, 2*time.Minute), itemPatience, 0, 0)
	w.later(6*time.Minute, itemEnd, 0, 0)
}

// jumpWall sets the wall clock forward or back.
func (w *world) jumpWall(by time.Duration, back bool) {
	if back {
		by = -by
	}
	w.now.Wall = w.now.Wall.Add(by)
	w.wallJumped(by)
}

// mishaps are faults that can occur at any time.
func (w *world) mishaps() {
	if w.opts.small && w.commits == 0 {
		return
	}
	for _, f := range anytime {
		if w.likely[f] > 0 && w.hit(f) {
			w.mishap(f)
		}
	}
}

var anytime = [...]Fault{
	FaultHostKey, FaultBadWord, FaultReplacedFirst, FaultPluginDies, FaultWallForward, FaultWallBack, FaultReloadCapacity, FaultReloadUses, FaultReloadLimit,
	FaultReloadPolicies, FaultReloadThrottle, FaultReloadAdopt, FaultShutdownKeeps, FaultShutdownDeletes, FaultDrain, FaultForeignAdds,
	FaultForeignDeletes, FaultUnreachable,
}

// What an itemHeal ends.
const (
	healPlugin uint8 = iota
	healDrain
	healYouth
	healReach
	healReplaced
)

func (w *world) mishap(f Fault) {
	d := &w.dice
	switch f {
	case FaultHostKey:
		if m := w.anyMachine(d); m != nil {
			w.step(scaler.Event{Kind: scaler.EvUnhealthy, ID: m.id, Serial: m.serial, Cause: record.CauseChangedHostKey})
		}
	case FaultUnreachable:
		if m := w.anyMachine(d); m != nil {
			w.unreach(m)
		}
	case FaultBadWord:
		w.badWord(d)
	case FaultReplacedFirst:
		w.replaceFirst(d)
	case FaultPluginDies:
		w.awayUntil = max(w.awayUntil, w.now.Mono+d.skewed(time.Second, 3*time.Minute))
	case FaultWallForward, FaultWallBack:
		jump := d.skewed(time.Second, 5*time.Hour)
		if d.below(8) == 0 {
			jump *= 50
		}
		w.jumpWall(jump, f == FaultWallBack)
	case FaultShutdownKeeps, FaultShutdownDeletes:
		if w.over == 0 {
			w.beginShutdown(f == FaultShutdownDeletes)
		}
	case FaultDrain:
		if !w.drained {
			w.drained = true
			w.step(scaler.Event{Kind: scaler.EvDrain, On: true})
			w.later(w.dice.skewed(time.Second, 10*time.Minute), itemHeal, 0, healDrain)
		}
	case FaultForeignAdds:
		for n := 1 + d.below(3); n > 0; n-- {
			m := w.newMachine()
			m.foreign, m.runs = true, w.now.Mono
		}
	case FaultForeignDeletes:
		if m := w.anyMachine(d); m != nil {
			m.gone = w.now.Mono
		}
	default:
		w.reload(f)
	}
}

// badWord reports any machine that has a record as unfit, whatever its state. Sometimes the report is about an earlier machine of its name, and
// says nothing about this one.
func (w *world) badWord(d *dice) {
	from := d.below(max(len(w.machines), 1))
	for n := range w.machines {
		m := w.machines[(from+n)%len(w.machines)]
		if m.state == 0 || m.state == record.Unclaimed {
			continue
		}
		ev := scaler.Event{Kind: scaler.EvUnhealthy, ID: m.id, Serial: m.serial, Cause: pick(d, record.CauseUnhealthy, record.CauseChangedHostKey),
			Failure: failure.Failure{Kind: failure.Unhealthy, Message: "planted"}}
		if ev.Serial > 1 && d.below(4) == 0 {
			ev.Serial--
		}
		w.step(ev)
		return
	}
}

// replaceFirst starts machines that replace some of ours, which go a while later.
func (w *world) replaceFirst(d *dice) {
	for n := 1 + d.below(2); n > 0; n-- {
		old := w.anyMachine(d)
		if old == nil || old.replaced || old.dying != never {
			return
		}
		old.replaced = true
		m := w.newMachine()
		m.runs, m.replaces = w.now.Mono+d.span(time.Second, 30*time.Second), true
		w.later(d.span(time.Minute, 6*time.Minute), itemHeal, old.no, healReplaced)
	}
}

func (w *world) heal(it *item) {
	if it.act == healYouth {
		w.dieYoung(w.machines[it.n], it.life != w.life)
	}
	if it.act == healReach && it.life == w.life {
		w.reach(w.machines[it.n])
	}
	if m := it.n; it.act == healReplaced && w.faulty && w.machines[m].exists(w.now.Mono) {
		w.machines[m].dying, w.machines[m].gone = w.now.Mono, w.now.Mono+20*time.Second
	}
	if it.act == healDrain && it.life == w.life && w.drained {
		w.drained, w.undrained = false, w.batchNo
		w.step(scaler.Event{Kind: scaler.EvDrain})
	}
}
