package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// ledger is what the world remembers of one batch to judge how committed records change.
type ledger struct {
	walls     []int64 // wall times of the events of this batch, Unix nanoseconds
	lifeWall  int64   // wall time at which this life began
	corrected int64   // the committed end of a back-off that the start of this life ended; 0: none
	reloaded  bool    // the configuration was reloaded in this batch
	replaced  bool    // a caller gave its lease back for one on another machine
	created   bool    // a create brought something
	booted    bool    // a preparation worked

	stepDrift time.Duration // sum of all jumps of the wall clock at the latest event
	backDrift time.Duration // sum of all jumps of the wall clock when the end of the back-off was committed
}

// ledgerEnds resets what belongs to one batch.
func (l *ledger) ledgerEnds() {
	*l = ledger{walls: l.walls[:0], lifeWall: l.lifeWall, corrected: l.corrected, backDrift: l.backDrift}
}

// ledgerEvent notes what the next event can change.
func (w *world) ledgerEvent(ev *scaler.Event) {
	if at := w.now.Wall.UnixNano(); !slices.Contains(w.walls, at) {
		w.walls = append(w.walls, at)
	}
	w.stepDrift = w.drift
	switch ev.Kind {
	case scaler.EvReload:
		w.reloaded = true
	case scaler.EvReplace:
		w.replaced = true
	case scaler.EvIncreased:
		w.created = w.created || !ev.Failure.Failed() || ev.Count > 0
	case scaler.EvPrepared:
		w.booted = w.booted || ev.Failure.Kind == failure.None
	}
}

// kept reports whether a stored time is unchanged. A restart counts a time in the future as the time of the restart.
func (l *ledger) kept(from, to int64) bool {
	return from == to || from > l.lifeWall && to == l.lifeWall
}

// stamped reports whether a stored time is one at which this batch, or this life, began something.
func (l *ledger) stamped(at int64) bool { return at == l.lifeWall || slices.Contains(l.walls, at) }

// judgeLedger checks each changed record against the committed one before it. A stored field changes only by its own rules, so a field that
// a restart or a commit lost shows as soon as its record is committed again.
func (w *world) judgeLedger(c *record.Changes) {
	for i := range c.Put {
		to := &c.Put[i]
		from := w.recordOf(to.ID)
		switch {
		case from != nil && from.Serial == to.Serial:
			w.judgeRecord(from, to)
		case to.Serial <= w.saved.Meta.LastSerial:
			w.fail("kept", "%s is committed under serial %d, but %d was in use before", to.ID, to.Serial, w.saved.Meta.LastSerial)
		case !w.stamped(to.CreatedAt) || !w.stamped(to.StateAt):
			w.fail("kept", "%s is new, and is committed as first seen at another time", to.ID)
		}
	}
	for i := range c.PutIntents {
		w.judgeIntent(&c.PutIntents[i])
	}
	if c.Meta != nil {
		w.judgeMeta(&w.saved.Meta, c.Meta, len(c.PutIntents) > 0)
	}
}

// judgeRecord compares two records of the same instance.
func (w *world) judgeRecord(from, to *record.Instance) {
	w.cover.judged[oracleKept]++
	retired := func(r *record.Instance) bool { return r.State >= record.Draining && r.State <= record.Lost }
	what := ""
	switch {
	case from.Origin != to.Origin && from.State != record.Unclaimed:
		what = "its origin"
	case !w.kept(from.CreatedAt, to.CreatedAt):
		what = "the time at which it was first seen"
	case !w.stamped(to.StateAt) && (from.State != to.State || !w.kept(from.StateAt, to.StateAt)):
		what = "the time of its state"
	case !w.kept(from.ReadyAt, to.ReadyAt) && !w.stamped(to.ReadyAt):
		what = "the time at which it became ready"
	case !w.kept(from.IdleAt, to.IdleAt) && !w.stamped(to.IdleAt):
		what = "the time at which it became idle"
	case from.Uses > to.Uses:
		what = "the number of its uses"
	case from.DeleteAsked && !to.DeleteAsked:
		what = "that its delete was sent"
	case retired(from) && retired(to) && from.Cause != to.Cause && to.Cause != record.CauseZombie && from.Cause != record.CauseMissing:
		what = "why it was retired"
	}
	for _, l := range to.Leases {
		at := slices.IndexFunc(from.Leases, func(o record.Lease) bool { return o.Key == l.Key })
		if at >= 0 && (from.Leases[at].At != l.At || from.Leases[at].Slot != l.Slot) && !w.stamped(l.At) {
			what = "the lease of " + string(l.Key)
		}
	}
	if what != "" {
		w.fail("kept", "%s: %s changed without a reason, from %+v to %+v", to.ID, what, *from, *to)
	}
}

// judgeIntent compares two records of one create. What may still appear of it only becomes less.
func (w *world) judgeIntent(to *record.Intent) {
	at := slices.IndexFunc(w.saved.Intents, func(r record.Intent) bool { return r.Op == to.Op })
	if at < 0 {
		if to.Op <= w.saved.Meta.LastOp || !w.stamped(to.At) {
			w.fail("kept", "create %d is new, at another time or under a number that is not new (the last was %d)", to.Op, w.saved.Meta.LastOp)
		}
		return
	}
	from := &w.saved.Intents[at]
	w.cover.judged[oracleKept]++
	left := func(r *record.Intent) int { return r.Open + r.Doubt + r.Faded }
	if from.Asked != to.Asked || !w.kept(from.At, to.At) || from.Answered && !to.Answered || left(to) > left(from) || to.Open > from.Open {
		w.fail("kept", "create %d changed without a reason, from %+v to %+v", to.Op, *from, *to)
	}
}

// judgeMeta compares two records of the group. Counts of consecutive failures end only by a success; a reload ends the pause they led to.
func (w *world) judgeMeta(from, to *record.Meta, creates bool) {
	w.cover.judged[oracleKept]++
	run := to.Fruitless + to.DiedYoung
	ended := to.YoungSince != from.YoungSince || run <= w.failedBoots // a run of failures ended; another one may have begun in this batch
	what := ""
	switch {
	case from.Group != to.Group:
		what = "the provider's group"
	case to.LastSerial < from.LastSerial || to.LastOp < from.LastOp:
		what = "the last number in use"
	case !creates && (to.ThrottleAt != from.ThrottleAt || to.ThrottleTokens != from.ThrottleTokens):
		what = "the tokens of the throttle"
	case to.Refusals < from.Refusals && !w.created && !w.reloaded:
		what = "the number of refused creates"
	case to.Fruitless < from.Fruitless && !w.booted && !ended:
		what = "the number of failed boots"
	case to.DiedYoung < from.DiedYoung && to.DiedYoung > 0 && w.fed == 1:
		what = "the number of early failures"
	case to.Trials < from.Trials && !w.reloaded && !ended && w.fed == 1:
		what = "the number of failed tries"
	case to.DiedYoung > from.DiedYoung && from.DiedYoung > 0 && w.fed == 1 && !w.kept(from.YoungSince, to.YoungSince):
		what = "the beginning of the early failures"
	case to.BackoffUntil < from.BackoffUntil && w.drift == w.backDrift && !w.reloaded && !w.created && !w.booted && !ended &&
		from.BackoffUntil != w.corrected:
		what = "the end of the back-off"
	case to.BackoffUntil == from.BackoffUntil && to.BackoffCause != from.BackoffCause &&
		!(w.reloaded && w.failedBoots > 0): // the reload ended one back-off, and the other one happens to end at the same time
		what = "the cause of the back-off"
	}
	if from.BackoffUntil != to.BackoffUntil {
		if to.BackoffUntil == 0 {
			w.restUntil = 0
		}
		if w.backDrift = w.stepDrift; len(w.walls) > 1 { // the wall clock jumped within this batch
			w.backDrift = never
		}
	}
	if what != "" {
		w.fail("kept", "%s changed without a reason, from %+v to %+v", what, *from, *to)
	}
}

// awaitsCorrection reports whether the committed back-off waits for somebody to correct something. A start ends it, like a reload.
func awaitsCorrection(m *record.Meta) bool {
	return m.BackoffUntil > 0 && (m.BackoffCause == record.CauseConfig || m.BackoffCause == record.CauseBreaker)
}

// judgeRestored checks that a restart shows what was committed. An instance whose limits changed while the manager was stopped may be
// retired at once. A create that has brought all is forgotten.
func (w *world) judgeRestored() {
	w.cover.judged[oracleRestart]++
	n, intents := 0, 0
	committed := slices.DeleteFunc(slices.Clone(w.saved.Intents), func(r record.Intent) bool { return r.Open+r.Doubt+r.Faded == 0 })
	w.real.Instances(func(v scaler.InstanceView) bool {
		rec := w.recordOf(v.ID)
		n++
		switch {
		case rec == nil:
			w.fail("restart", "%s is known after a restart, and no record of it was committed", v.ID)
		case v.Serial != rec.Serial || v.Origin != rec.Origin && rec.State != record.Unclaimed || v.Uses != rec.Uses:
			w.fail("restart", "%s is restored as %+v, its record is %+v", v.ID, v, *rec)
		case !w.kept(rec.CreatedAt, v.CreatedAt) || !w.kept(rec.ReadyAt, v.ReadyAt) || !w.kept(rec.IdleAt, v.IdleAt):
			w.fail("restart", "the times of %s are restored as %+v, its record is %+v", v.ID, v, *rec)
		case v.State == rec.State && (!w.kept(rec.StateAt, v.SinceAt) || v.Cause != rec.Cause):
			w.fail("restart", "%s is restored as %s since %d (%s), its record is %+v", v.ID, v.State, v.SinceAt, v.Cause, *rec)
		case v.State != rec.State && rec.State != record.Unclaimed && (rec.State != record.Ready || v.Cause != record.CauseUsedUp):
			w.fail("restart", "%s is restored as %s, its record is %s", v.ID, v.State, rec.State)
		case !slices.EqualFunc(v.Leases, rec.Leases, func(a scaler.LeaseView, b record.Lease) bool { return a.Lease == b }):
			w.fail("restart", "the leases of %s are restored as %+v, its record is %+v", v.ID, v, *rec)
		}
		return true
	})
	w.real.Intents(func(in record.Intent) bool {
		if intents >= len(committed) || committed[intents] != in {
			w.fail("restart", "create %d is restored as %+v, which was not committed", in.Op, in)
		}
		intents++
		return true
	})
	if n != len(w.saved.Instances) || intents != len(committed) {
		w.fail("restart", "%d instances and %d creates are restored, %d and %d were committed", n, intents, len(w.saved.Instances), len(committed))
	}
	s, m := w.real.Summary(), &w.saved.Meta
	if s.Fruitless != m.Fruitless || s.DiedYoung != m.DiedYoung || s.Refusals != m.Refusals {
		w.fail("restart", "the counts of failures are restored as %d, %d and %d, committed were %d, %d and %d", s.Fruitless, s.DiedYoung, s.Refusals,
			m.Fruitless, m.DiedYoung, m.Refusals)
	}
	if s.Latest != m.Latest {
		w.fail("restart", "the latest failure is restored as %q, committed was %q", s.Latest, m.Latest)
	}
	if m.BackoffUntil > w.now.Wall.UnixNano() && (s.BackoffFor <= 0 || s.BackoffCause != m.BackoffCause) != awaitsCorrection(m) {
		w.fail("restart", "the back-off (%s) is restored as %v (%s)", m.BackoffCause, s.BackoffFor, s.BackoffCause)
	}
}
