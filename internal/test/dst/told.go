package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// moved is a change of an instance's committed state.
type moved struct {
	id       record.ID
	from, to record.State
}

// judgeTold checks that everything a batch did can be explained later: each change of an instance's state, each command and each answer has its
// fact, and each fact says all that its kind says. The log and the explanation of decisions have only the facts.
func (w *world) judgeTold(b *scaler.Batch) {
	for _, m := range w.moves {
		w.judgeMoveTold(b, m)
	}
	for i := range b.Commands {
		w.judgeCommandTold(b, &b.Commands[i])
	}
	for i := range b.Grants {
		w.judgeAnswerTold(b, &b.Grants[i])
	}
	for i := range b.Facts {
		f := &b.Facts[i]
		w.cover.judged[oracleTold]++
		if what := w.lacks(f); what != "" {
			w.fail("told", "the fact %s (instance %q, key %q) lacks its %s", f.Kind, f.ID, f.Key, what)
		}
	}
}

// tells reports whether the batch has a fact of this kind that fits.
func tells(b *scaler.Batch, kind scaler.FactKind, fits func(*scaler.Fact) bool) bool {
	for i := range b.Facts {
		if b.Facts[i].Kind == kind && fits(&b.Facts[i]) {
			return true
		}
	}
	return false
}

func (w *world) judgeMoveTold(b *scaler.Batch, m moved) {
	about := func(f *scaler.Fact) bool { return f.ID == m.id }
	told := func(kinds ...scaler.FactKind) {
		for _, k := range kinds {
			if tells(b, k, about) {
				return
			}
		}
		w.fail("told", "%s went from %s to %s, and no fact says so", m.id, m.from, m.to)
	}
	switch m.to {
	case record.Ready:
		told(scaler.FactReady, scaler.FactReturned)
	case record.Draining:
		told(scaler.FactRetire, scaler.FactReturned)
	case record.Deleting:
		told(scaler.FactRetire, scaler.FactDelete, scaler.FactReturned)
	case record.Gone:
		told(scaler.FactGone)
	case record.Lost:
		told(scaler.FactLost)
	case record.Creating, record.Preparing:
		if m.from == 0 || m.from >= record.Gone {
			told(scaler.FactAppeared, scaler.FactReturned, scaler.FactAdopt)
		}
	}
}

func (w *world) judgeCommandTold(b *scaler.Batch, c *scaler.Command) {
	switch c.Kind {
	case scaler.CmdIncrease:
		n := 0
		for i := range b.Facts {
			if f := &b.Facts[i]; f.Kind == scaler.FactCreate && f.Op == c.Op {
				n += f.Count
			}
		}
		if n != c.Count {
			w.fail("told", "create %d is for %d instances, and facts say %d", c.Op, c.Count, n)
		}
	case scaler.CmdDelete:
		if !tells(b, scaler.FactDelete, func(f *scaler.Fact) bool { return f.ID == c.ID }) {
			w.fail("told", "%s is deleted, and no fact says so", c.ID)
		}
	}
}

func (w *world) judgeAnswerTold(b *scaler.Batch, g *scaler.Grant) {
	switch g.Kind {
	case scaler.GrantRevoked:
		if !tells(b, scaler.FactRevoke, func(f *scaler.Fact) bool { return f.Key == g.Key && f.ID == g.ID && f.Cause == g.Cause }) {
			w.fail("told", "the lease of %s on %s is revoked for %s, and no fact says so", g.Key, g.ID, g.Cause)
		}
	case scaler.GrantDenied: // what is refused at once for a policy or a full fleet is told to the caller alone
		if g.Cause != record.CauseNoCapacity && g.Cause != record.CausePolicy && !tells(b, scaler.FactDeny, func(f *scaler.Fact) bool { return f.Key == g.Key && f.Cause == g.Cause }) {
			w.fail("told", "the request of %s is denied for %s, and no fact says so", g.Key, g.Cause)
		}
	}
}

// lacks names what a fact of this kind must say and this one does not.
func (w *world) lacks(f *scaler.Fact) string {
	type need struct {
		name string
		has  bool
	}
	var needs []need
	must := func(name string, has bool) { needs = append(needs, need{name, has}) }
	id := func() { must("instance", f.ID != "" && w.byID[f.ID] != nil) }
	cause := func() { must("cause", f.Cause != record.CauseNone) }
	count := func() { must("count", f.Count > 0) }
	switch f.Kind {
	case scaler.FactCreate:
		must("create", f.Op != 0)
		count()
	case scaler.FactAppeared, scaler.FactReturned:
		id()
	case scaler.FactReady, scaler.FactLost, scaler.FactGone:
		id()
		must("time", w.isAge(f.ID, f.Took))
		must("cause", f.Kind == scaler.FactReady || f.Cause != record.CauseNone)
	case scaler.FactRetire:
		id()
		cause()
	case scaler.FactDelete:
		id()
		cause()
		count()
	case scaler.FactRevoke:
		id()
		cause()
		must("key", f.Key != "")
	case scaler.FactDeny:
		cause()
		must("key", f.Key != "")
	case scaler.FactRefused:
		cause()
		count()
		must("create", f.Op != 0)
		must("failure", f.Failure.Kind != 0)
		must("time", f.Took > 0)
	case scaler.FactFruitless:
		cause()
		count()
		must("instance or create", (f.ID != "") != (f.Op != 0))
	case scaler.FactListFailed:
		must("failure", f.Failure.Kind != 0)
		must("count of 1, 10, 100, …", f.Count == 1 || f.Count%10 == 0)
	case scaler.FactUnclaimed:
		must("instance or count", (f.ID != "") != (f.Count > 0))
	case scaler.FactAlarm:
		id()
		count()
		must("time", f.Took > 0)
	case scaler.FactAdopt:
		id()
		must("create or cause", (f.Op != 0) != (f.Cause != record.CauseNone))
	case scaler.FactIntent:
		cause()
		count()
		must("create", f.Op != 0)
	case scaler.FactPrepare:
		id()
		count()
		must("failure", f.Failure.Kind != 0)
	case scaler.FactHold:
		cause()
		count()
	case scaler.FactBreaker:
		must("count", !f.On || f.Count > 0)
		must("time", !f.On || f.Took > 0)
		must("cause", !f.On || f.Cause != record.CauseNone)
	case scaler.FactListed:
		count()
	case scaler.FactUnreachable:
		id()
		must("failure", !f.On || f.Failure.Kind != 0)
	}
	for _, n := range needs {
		if !n.has {
			return n.name
		}
	}
	return ""
}

// isAge reports whether d is the time since the instance was first listed. A restart reads it from the wall clock, which may have jumped.
func (w *world) isAge(id record.ID, d time.Duration) bool {
	m := w.byID[id]
	return m == nil || m.firstLife != w.life || m.firstAt == w.lastStep || d == w.lastStep-m.firstAt
}
