package dst

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// recorder keeps what a replay needs: each life's beginning, and every step and take since.
type recorder struct {
	from    scaler.Config
	state   record.Saved
	wasKnow bool
	startAt scaler.Time
	journal []entry
	digest  uint64       // of all batches of the world
	twin    *scaler.Core // made of a snapshot, goes on beside the core; nil: none
}

// entry is one step, and what the batch that was taken behind it looked like; 0: none was.
type entry struct {
	now    scaler.Time
	ev     scaler.Event
	digest uint64
	copied bool // a snapshot was taken behind it
}

// openJournal starts the journal of a life.
func (w *world) openJournal() {
	w.replay()
	w.from, w.state, w.wasKnow, w.startAt = w.cfg, cloneState(&w.saved), w.known, w.now
	w.journal = w.journal[:0]
	w.twin = nil
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
			w.fail("10", "a core that was made of a snapshot gives another batch than the one that the snapshot was taken of")
		}
	}
}

// copyCore takes a snapshot now and then, and has the core that is made of it go on in lockstep.
func (w *world) copyCore() {
	if w.roll(streamTwin).below(40) > 0 || w.broken != nil {
		return
	}
	s := w.real.Snapshot()
	w.journal[len(w.journal)-1].copied = true
	twin, err := scaler.Resume(&s)
	if err != nil {
		w.fail("10", "a snapshot cannot be used: %v", err)
		return
	}
	w.cover.copies++
	w.twin = twin
}

// replay feeds the journal of this life to a fresh core: invariant 10.
func (w *world) replay() {
	if len(w.journal) == 0 || w.broken != nil {
		return
	}
	core, err := scaler.New(w.from, cloneState(&w.state), w.wasKnow, w.startAt)
	if err != nil {
		w.fail("10", "the state that a life began with is refused the second time: %v", err)
		return
	}
	var fresh Decider = core
	if w.opts.wrap != nil {
		fresh = w.opts.wrap(core)
	}
	for n := range w.journal {
		e := &w.journal[n]
		fresh.Step(e.now, e.ev)
		if e.digest == 0 {
			continue
		}
		if d := digestOf(fresh.Take()); d != e.digest {
			w.fail("10", "entry %d of %d of the journal (%s at +%v) gives another batch when it is replayed", n+1, len(w.journal), w.describe(&e.ev), e.now.Mono-began)
			return
		}
		if e.copied { // it rounds the throttle's bucket, by next to nothing
			core.Snapshot()
		}
	}
}

// digestOf is a fingerprint of all that a batch says; never 0.
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

// digestFacts avoids the pointer that a fact's decision may hold.
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
