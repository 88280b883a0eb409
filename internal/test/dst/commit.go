package dst

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// commit takes the batch and handles it in the required order: the changes in one transaction, then answers, commands, facts, and the
// wake-up. The manager can crash before, in between and after.
func (w *world) commit() {
	if !w.stepped || w.broken != nil {
		return
	}
	w.stepped = false
	b := w.core.Take()
	if w.opts.journal {
		w.taken(b)
	}
	switch {
	case b.Bug != nil:
		w.fail("books", "the core refused its own move: %v", b.Bug)
	case b.Wake != 0 && b.Wake <= w.lastStep:
		w.fail("wake", "the core wants to wake up at %v, which is not after %v", b.Wake, w.lastStep)
	}
	if w.opts.tamper != nil {
		w.opts.tamper(w)
	}
	if w.broken != nil {
		return
	}
	w.throttleChanged()
	w.failedBoots = 0
	for i := range b.Facts {
		if b.Facts[i].Kind == scaler.FactFruitless {
			w.failedBoots++
		}
	}
	point := w.crashPoint(b)
	if point == FaultCrashBeforeCommit {
		w.unsaid()
		w.crash()
		return
	}
	w.apply(&b.Changes)
	grants, commands := len(b.Grants), len(b.Commands)
	switch point {
	case FaultCrashAfterCommit:
		grants, commands = 0, 0
	case FaultCrashMidGrants:
		grants, commands = w.dice.below(grants+1), 0
	case FaultCrashMidCommands:
		commands = w.dice.below(commands + 1)
	}
	w.dispatch(b, grants, commands)
	if w.broken != nil {
		return
	}
	if point != numFaults {
		w.judgeUnfit()
		w.crash()
		return
	}
	w.judgeUnfit()
	w.judgeStanding()
	w.judgeSupply()
	w.judgePrompt(b)
	w.judgePlace()
	w.judgeDoubts(b)
	done := b.Done
	w.expect(b.Expecting)
	w.batchEnds()
	w.arm(b.Wake)
	if w.opts.journal {
		w.copyCore()
	}
	if w.over > 0 && (done || w.endLife) {
		w.crash()
	}
}

// crashPoint decides whether and where the manager crashes around this commit; numFaults: it does not. A commit may also fail for a while.
func (w *world) crashPoint(b *scaler.Batch) Fault {
	if b.Changes.Empty() {
		return numFaults
	}
	w.commits++
	if w.opts.small {
		if w.commits == w.opts.crashAt {
			w.cover.faults[w.opts.crashPoint]++
			w.dice.at(streamRestart, uint64(w.commits)|1<<61)
			return w.opts.crashPoint
		}
		return numFaults
	}
	if !w.faulty {
		return numFaults
	}
	if w.hit(FaultCommitStuck) {
		w.advance(w.now.Mono + 5*time.Minute)
		return FaultCrashBeforeCommit
	}
	tookEffect := false
	if w.hit(FaultCommitFails) {
		w.advance(w.now.Mono + w.dice.skewed(100*time.Millisecond, 4*time.Minute))
		w.apply(&b.Changes) // the commit took effect but reported an error: the manager tries it again
		tookEffect = true
	}
	for _, f := range crashes {
		switch {
		case !w.hit(f):
		case f == FaultCrashBeforeCommit && tookEffect:
			return FaultCrashAfterCommit
		default:
			return f
		}
	}
	return numFaults
}

var crashes = [...]Fault{FaultCrashBeforeCommit, FaultCrashAfterCommit, FaultCrashMidGrants, FaultCrashMidCommands, FaultCrashAfterDispatch}

// dispatch sends the first answers and commands of a committed batch, up to these numbers.
func (w *world) dispatch(b *scaler.Batch, grants, commands int) {
	w.grants, w.quiet = b.Grants, w.fed == 1 && b.Changes.Empty() && len(b.Facts) == 0
	for i := range b.Grants {
		if i < grants {
			w.answer(&b.Grants[i])
		} else {
			w.unheard(&b.Grants[i])
		}
		if w.broken != nil {
			return
		}
	}
	for i := range b.Commands {
		cmd := &b.Commands[i]
		if w.opts.trace {
			w.sayCommand(cmd, i < commands)
		}
		switch cmd.Kind {
		case scaler.CmdIncrease:
			w.judgeCreate(cmd)
			w.judgeBreaker(b, cmd)
			w.judgePace(cmd)
		case scaler.CmdDelete:
			w.judgeDelete(cmd)
			w.judgeDeletePace(cmd)
		}
	}
	w.judgeExplained(b)
	w.breakerMoves(b)
	paused := w.pausedBy && !slices.ContainsFunc(b.Facts, func(f scaler.Fact) bool { return f.Kind == scaler.FactForeign && !f.On })
	w.pauses(b)
	w.countFacts(b)
	for i := range b.Facts {
		if w.opts.trace {
			w.sayFact(&b.Facts[i])
		}
		w.judgeFact(&b.Facts[i])
		w.judgeYoung(b, &b.Facts[i])
		w.owes(&b.Facts[i])
	}
	w.judgeDeletes(b, paused)
	w.judgeTold(b)
	for i := range b.Commands[:commands] { // after the facts are judged: a create may give a new machine the name of one that a fact is about
		if w.broken == nil {
			w.carryOut(&b.Commands[i])
		}
	}
}

// countFacts counts what several oracles need to know of the facts of a batch before they judge. The stored words of the latest failure are those of
// the last failed create or preparation.
func (w *world) countFacts(b *scaler.Batch) {
	w.went = 0
	words, unexpected := "", 0
	for i := range w.creates0 {
		unexpected += w.creates0[i].Open
	}
	for i := range w.saved.Intents {
		unexpected -= w.saved.Intents[i].Open
	}
	for i := range b.Facts {
		switch f := &b.Facts[i]; f.Kind {
		case scaler.FactRetire, scaler.FactLost:
			w.went++
		case scaler.FactCreate:
			unexpected += f.Count
		case scaler.FactAppeared:
			if f.Op != 0 {
				unexpected--
			}
		case scaler.FactReturned:
			if m := w.byID[f.ID]; m != nil && f.Cause == record.CauseZombie { // it counted as gone, perhaps within this batch only
				m.wasGone, m.accepts, m.again = true, 0, 0
			}
		case scaler.FactRefused, scaler.FactPrepare:
			words = cmp.Or(f.Failure.Message, words)
		}
	}
	w.went += max(unexpected, 0)
	if words != "" && w.saved.Meta.Latest != words {
		w.fail("reason", "the latest failure says %q, and %q is stored as the latest", words, w.saved.Meta.Latest)
	}
}

// unheard handles an answer that was committed but never sent. What it ended has ended nevertheless; its caller learns of it when it comes
// back.
func (w *world) unheard(g *scaler.Grant) {
	if g.Kind == scaler.GrantReleased && g.Ticket != 0 {
		for _, r := range w.jobs[g.Ticket>>16-1].requests {
			if r.ticket == g.Ticket {
				w.blamed(g, r.blames)
			}
		}
	}
	if g.Kind != scaler.GrantRevoked {
		return
	}
	for _, no := range w.live {
		if j := &w.jobs[no]; j.key == g.Key && j.on != nil {
			w.leave(j, w.lastStep)
		}
	}
}

func (w *world) carryOut(cmd *scaler.Command) {
	switch cmd.Kind {
	case scaler.CmdIncrease:
		w.increase(cmd)
	case scaler.CmdDelete:
		w.decrease(cmd)
	case scaler.CmdPrepare:
		w.prepare(cmd)
	case scaler.CmdHeartbeat:
		w.beat(cmd)
	}
}
