package dst

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// recorder keeps what a replay needs: the beginning of each life, and every step and take after it.
type recorder struct {
	from    scaler.Config
	state   record.Saved
	wasKnow bool
	startAt scaler.Time
	journal []entry
	digest  uint64       // of all batches of the world
	twin    *scaler.Core // a core made from a snapshot, which runs in parallel with the core; nil: none
	twinned bool         // a snapshot was taken before the first step of this life
}

// entry is one step, with the digest of the batch that was taken after it; 0: no batch was taken.
type entry struct {
	now    scaler.Time
	ev     scaler.Event
	digest uint64
	midway bool // a snapshot was taken after it, before the batch was taken
	copied bool // a snapshot was taken after it and its batch
}

// openJournal starts the journal of a life.
func (w *world) openJournal() {
	w.replay()
	w.from, w.state, w.wasKnow, w.startAt = w.cfg, cloneState(&w.saved), w.known, w.now
	w.journal = w.journal[:0]
	w.twin = nil
	if w.twinned = w.twins(2); w.twinned { // a manager's journal begins with a snapshot of the new core
		w.copyNow()
	}
}

func (w *world) record(ev *scaler.Event) {
	w.journal = append(w.journal, entry{now: w.now, ev: *ev})
	if w.twin != nil {
		w.twin.Step(w.now, *ev)
	}
}

func (w *world) taken(b *scaler.Batch) {
	d := digestOf(b)
	w.journal[len(w.journal)-1].digest = d
	w.digest = w.digest*0x100000001b3 ^ d
	if w.twin != nil {
		if t := digestOf(w.twin.Take()); t != d {
			w.fail("10", "a core made from a snapshot gives a different batch than the original core")
		}
	}
}

// copyCore takes a snapshot now and then. A core made from it runs in parallel and must give the same batches.
func (w *world) copyCore() {
	if !w.twins(40) || w.broken != nil {
		return
	}
	w.journal[len(w.journal)-1].copied = true
	w.copyNow()
}

// twins decides whether a snapshot is taken, once in n times. A schedule that is not recorded draws the same numbers otherwise.
func (w *world) twins(n int) bool {
	before := w.dice.pcg
	yes := w.roll(streamTwin).below(n) == 0
	w.dice.pcg = before
	return yes
}

// copyMidway takes a snapshot now and then between a step and the end of its batch.
func (w *world) copyMidway() {
	if w.twins(60) && w.broken == nil {
		w.journal[len(w.journal)-1].midway = true
		w.copyNow()
	}
}

// copyNow makes a core from a snapshot, in place of the one before.
func (w *world) copyNow() {
	s := w.real.Snapshot()
	twin, err := scaler.Resume(&s)
	if err != nil {
		w.fail("10", "a snapshot cannot be used: %v", err)
		return
	}
	if again, want := twin.Snapshot(), w.real.Snapshot(); !reflect.DeepEqual(again, want) {
		w.fail("10", "a core made from a snapshot gives another snapshot: %+v instead of %+v", again, want)
	}
	w.cover.copies++
	w.twin = twin
}

// replay feeds the journal of this life to a new core: invariant 10.
func (w *world) replay() {
	if len(w.journal) == 0 || w.broken != nil {
		return
	}
	core, err := scaler.New(w.from, cloneState(&w.state), w.wasKnow, w.startAt)
	if err != nil {
		w.fail("10", "the state at the beginning of a life is refused on replay: %v", err)
		return
	}
	var fresh Decider = core
	if w.opts.wrap != nil {
		fresh = w.opts.wrap(core)
	}
	if w.twinned {
		core.Snapshot()
	}
	for n := range w.journal {
		e := &w.journal[n]
		fresh.Step(e.now, e.ev)
		if e.midway { // a snapshot rounds the throttle's tokens by a tiny amount
			core.Snapshot()
		}
		if e.digest == 0 {
			continue
		}
		if d := digestOf(fresh.Take()); d != e.digest {
			w.fail("10", "entry %d of %d of the journal (%s at +%v) gives a different batch on replay", n+1, len(w.journal), w.describe(&e.ev), e.now.Mono-began)
			return
		}
		if e.copied {
			core.Snapshot()
		}
	}
}

// digestOf is a hash of a whole batch; never 0.
func digestOf(b *scaler.Batch) uint64 {
	h := fnv.New64a()
	meta := record.Meta{}
	if b.Changes.Meta != nil {
		meta = *b.Changes.Meta
	}
	fmt.Fprintf(h, "%+v|%+v|%+v|%+v|%+v|%+v|%+v|", b.Changes.Put, b.Changes.Drop, b.Changes.PutIntents, b.Changes.DropIntents, meta, b.Commands, b.Grants)
	digestFacts(h, b.Facts)
	fmt.Fprintf(h, "|%v|%v|%v", b.Wake, b.Expecting, b.Done)
	return h.Sum64() | 1
}

// digestFacts does not hash the pointer in a fact's decision.
func digestFacts(h hash.Hash64, facts []scaler.Fact) {
	var buf [8]byte
	for i := range facts {
		f := &facts[i]
		fmt.Fprintf(h, "%d|%d|%v|%v|%s|%s|%d|%d|%d|%v|%+v|%d|%s", f.Kind, f.Cause, f.On, f.At.Mono, f.ID, f.Key, f.Op, f.Count, f.Booting, f.Took, f.Failure,
			f.Policy, f.Decision)
		fmt.Fprintf(h, "|%d|%d|%d", f.Peak, f.Left, f.Event)
		binary.LittleEndian.PutUint64(buf[:], uint64(f.At.Wall.UnixNano()))
		h.Write(buf[:])
	}
}
