package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// doubt is what the world knows about the doubt of one create: since when lists can rule out what is missing of it, and how many did. Two counts:
// what one batch does to a deadline is not always known.
type doubt struct {
	op       uint64
	open     bool          // something is in doubt, and lists count
	from     time.Duration // lists asked for from here on may count
	surely   time.Duration // lists asked for from here on count
	most     int           // lists that may have counted
	least    int           // lists that counted
	faded    bool          // enough lists counted in this batch
	late     bool          // it was overdue, and no other create was confused with it
	perhaps  bool          // this may be so
	restored bool          // it is from an earlier life
	heard    bool          // the provider said in this life what became of it
}

// heard is an event of this batch that doubts depend on.
type heard struct {
	n     int // index of the event in the batch
	kind  scaler.EventKind
	op    uint64
	count int
	sure  bool
	since time.Duration
}

// doubts are the creates of this life of the manager.
type doubts struct {
	inDoubt []doubt
	heard   []heard
}

// doubtsRestart takes up the creates at the start of a life. A list that is asked for at this very moment rules nothing out.
func (w *world) doubtsRestart() {
	w.inDoubt, w.heard = w.inDoubt[:0], w.heard[:0]
	for i := range w.saved.Intents {
		r := &w.saved.Intents[i]
		d := doubt{op: r.Op, open: !r.Answered || r.Doubt > 0, from: w.now.Mono + 1, late: r.Doubt > 0, perhaps: r.Doubt > 0}
		d.surely, d.restored = d.from, true
		w.inDoubt = append(w.inDoubt, d)
	}
}

func (w *world) doubtAbout(op uint64) *doubt {
	at := slices.IndexFunc(w.inDoubt, func(d doubt) bool { return d.op == op })
	if at < 0 {
		w.inDoubt = append(w.inDoubt, doubt{op: op})
		at = len(w.inDoubt) - 1
	}
	return &w.inDoubt[at]
}

// doubtHears notes the next event.
func (w *world) doubtHears(ev *scaler.Event) {
	switch ev.Kind {
	case scaler.EvListed, scaler.EvIncreased:
		w.heard = append(w.heard, heard{w.fed - 1, ev.Kind, ev.Op, ev.Count, ev.Failure.Kind != failure.Transient, ev.Since})
	}
}

// more starts the count of lists again: something more is in doubt from at on. What was in doubt before keeps its time.
func (d *doubt) more(at time.Duration) {
	surely := max(d.surely, at)
	d.begins(max(d.from, at))
	d.surely = surely
}

// begins starts the count of lists again: only those that are asked for from here on count.
func (d *doubt) begins(from time.Duration) {
	d.open, d.faded, d.from, d.surely, d.most, d.least = true, false, from, from, 0, 0
}

// judgeDoubts checks that what is in doubt of a create is given up after missing_lists complete lists without it, which were asked for after the
// latest of its doubts began, and not later. A create that has nothing more to bring is forgotten. Facts and events are taken in the order in which
// the core met them.
func (w *world) judgeDoubts(b *scaler.Batch) {
	next := 0
	for i := range b.Facts {
		f := &b.Facts[i]
		// What a timer did comes before its event, and what a list proves comes after it.
		for next < len(w.heard) && (w.heard[next].n < f.Event || w.heard[next].n == f.Event && f.Cause != record.CauseBootOverdue) {
			w.doubtEvent(&w.heard[next])
			next++
		}
		w.doubtFact(b, i)
	}
	for ; next < len(w.heard); next++ {
		w.doubtEvent(&w.heard[next])
	}
	w.heard = w.heard[:0]
	w.judgeCreates()
}

func (w *world) doubtEvent(h *heard) {
	if h.kind == scaler.EvListed {
		for i := range w.inDoubt {
			d := &w.inDoubt[i]
			if d.open && h.since >= d.from {
				d.most++
			}
			if d.open && h.since >= d.surely {
				if d.least++; d.least == w.cfg.MissingLists {
					d.open, d.faded, d.most = false, true, d.least
				}
			}
		}
		return
	}
	at := slices.IndexFunc(w.creates0, func(r record.Intent) bool { return r.Op == h.op })
	if at < 0 {
		return
	}
	d, short := w.doubtAbout(h.op), h.count < w.creates0[at].Asked
	d.heard = d.heard || h.sure || !short
	if short || d.open {
		d.more(w.lastStep)
	}
}

func (w *world) doubtFact(b *scaler.Batch, i int) {
	f := &b.Facts[i]
	switch {
	case f.Op == 0:
	case f.Kind == scaler.FactIntent && f.Cause == record.CauseMissing:
		w.cover.judged[oracleDoubt]++
		if d := w.doubtAbout(f.Op); d.most < w.cfg.MissingLists {
			w.fail("doubt", "%d instances of create %d are given up after %d lists without them since they are in doubt", f.Count, f.Op, d.most)
		} else {
			d.open, d.most, d.least = false, 0, 0
		}
	case f.Kind == scaler.FactIntent && f.Cause == record.CauseBootOverdue:
		d := w.doubtAbout(f.Op)
		d.more(f.At.Mono)
		d.late, d.perhaps = true, true
	case f.Kind == scaler.FactIntent:
		w.doubtAbout(f.Op).more(f.At.Mono)
	case f.Kind == scaler.FactAppeared && w.countsFor(b, i):
		w.mixedUp(f)
	}
}

// countsFor reports whether the machine that appeared was one that its create still expected.
func (w *world) countsFor(b *scaler.Batch, i int) bool {
	f := &b.Facts[i]
	return !slices.ContainsFunc(b.Facts, func(o scaler.Fact) bool {
		return o.Event == f.Event && o.Op == f.Op && (o.Kind == scaler.FactAdopt || o.Kind == scaler.FactIntent && o.Cause == record.CauseZombie)
	})
}

// mixedUp notes that a machine was counted for a create, although an overdue one may have brought it. What is missing then has its own time to
// appear, once.
func (w *world) mixedUp(f *scaler.Fact) {
	in := func(from []record.Intent, op uint64) bool {
		return slices.ContainsFunc(from, func(r record.Intent) bool { return r.Op == op && r.Doubt > 0 })
	}
	for i := range w.inDoubt {
		d := &w.inDoubt[i]
		before, after := in(w.creates0, d.op), in(w.saved.Intents, d.op)
		if d.op == f.Op || !d.perhaps || !before && !after {
			continue
		}
		least, most := w.requestedDeadlines()
		if d.late && before && after && d.open {
			d.begins(f.At.Mono + least)
			d.late, d.perhaps = false, false
		} else {
			d.late, d.faded, d.least = false, false, 0
		}
		d.surely = max(d.surely, f.At.Mono+most)
	}
}

// requestedDeadlines returns the shortest and the longest time that a create may have had in this batch: it doubles with each failed boot.
func (w *world) requestedDeadlines() (least, most time.Duration) {
	double := func(n int) time.Duration {
		d := w.cfg.RequestedDeadline
		for ; n > 0 && d < time.Hour; n-- {
			d *= 2
		}
		return min(d, max(w.cfg.RequestedDeadline, time.Hour))
	}
	fewest, all := min(w.fruitless, w.saved.Meta.Fruitless), max(w.fruitless, w.saved.Meta.Fruitless)+w.failedBoots
	if w.booted {
		fewest = 0
	}
	return double(fewest), double(all)
}

// judgeCreates checks the committed creates at the end of a batch.
func (w *world) judgeCreates() {
	for i := range w.saved.Intents {
		r := &w.saved.Intents[i]
		d := w.doubtAbout(r.Op)
		if d.faded && (r.Doubt > 0 || !r.Answered) {
			w.fail("doubt", "%d lists lacked what is in doubt of create %d, and it still counts (%+v)", w.cfg.MissingLists, r.Op, *r)
		}
		if r.Open+r.Doubt+r.Faded == 0 && (d.heard || d.restored) {
			w.fail("doubt", "all of create %d appeared, and it is not forgotten (%+v)", r.Op, *r)
		}
		d.faded = false
	}
	w.inDoubt = slices.DeleteFunc(w.inDoubt, func(d doubt) bool {
		return !slices.ContainsFunc(w.saved.Intents, func(r record.Intent) bool { return r.Op == d.op })
	})
}
