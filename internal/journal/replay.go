package journal

import (
	"errors"
	"os"
	"reflect"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// ReplayOptions select the part of a journal that is replayed. The zero value selects all of it.
type ReplayOptions struct {
	From   time.Time      // start with the latest segment that begins at or before this time, or else with the first; zero: the first
	Until  time.Time      // stop before the first round after this time; zero: at the end
	Report func(*Problem) // called for damage that was skipped; may be nil
}

// Step is one round of a replay, or the beginning of a segment. Its contents are valid until the function that receives it returns.
type Step struct {
	Core    *scaler.Core   // after the round
	Now     scaler.Time    // time of the round; Wall is in UTC
	Events  []scaler.Event // none at the beginning of a segment
	Batch   *scaler.Batch  // the result of Events; never nil, empty at the beginning of a segment
	Begin   Begin          // not BeginNone: this is the beginning of a segment, and how it follows from what came before
	Segment uint64         // the segment's number
	Round   int            // number in the segment, from 1; 0: its beginning
	File    *Segment       // the segment
}

// Replay steps a fresh core through the journal. It calls f at the beginning of each segment and after each round. When f returns an error,
// the replay stops and returns it. Other errors: *DivergedError, or *Problem when nothing could be replayed.
func (j *Journal) Replay(o ReplayOptions, f func(Step) error) error {
	r := replay{o: o, f: f}
	for i := j.first(o.From); i < len(j.segments) && !r.over; i++ {
		r.file, r.last = &j.segments[i], i == len(j.segments)-1
		r.next = nil
		if !r.last {
			r.next = &j.segments[i+1]
		}
		if err := r.segment(); err != nil {
			return err
		}
	}
	if !r.any && r.problem != nil {
		return r.problem
	}
	return nil
}

// first returns the index of the latest segment that begins at or before from.
func (j *Journal) first(from time.Time) int {
	if from.IsZero() {
		return 0
	}
	for i := len(j.segments) - 1; i > 0; i-- {
		if s := &j.segments[i]; s.Err == nil && !s.At.After(from) {
			return i
		}
	}
	return 0
}

type replay struct {
	o          ReplayOptions
	f          func(Step) error
	file, next *Segment
	last       bool // file is the last segment
	over       bool
	any        bool // at least one segment could be started
	problem    *Problem

	core  *scaler.Core
	whole bool   // the previous segment ended properly and continues in the next
	prior uint64 // number of the previous segment
	life  Life

	data  []byte
	off   int
	begin Begin
	at    state
	check uint32 // of the previous batch
	round int
	wall  time.Time // time of the last round
}

// damage records that the rest of this segment is not used.
func (r *replay) damage(err error) error {
	torn := errors.Is(err, errTorn) && (r.last || r.next.Err == nil && r.next.Begin != BeginSegment)
	p := &Problem{Segment: r.file.Number, Path: r.file.Path, Offset: int64(r.off), Torn: torn, Err: err}
	r.whole = false
	if r.problem == nil {
		r.problem = p
	}
	if r.o.Report != nil {
		r.o.Report(p)
	}
	return nil
}

// segment replays one file. Damage ends the file, but is not an error.
func (r *replay) segment() error {
	r.off, r.round, r.check = 0, 0, 0
	if r.file.Err != nil {
		return r.damage(r.file.Err)
	}
	var err error
	if r.data, err = os.ReadFile(r.file.Path); err != nil {
		return r.damage(err)
	}
	h, size, err := head(r.data)
	if err != nil {
		return r.damage(err)
	}
	r.off, r.begin = size, h.begin
	f, size, err := next(r.data[r.off:])
	if err == nil && f.kind != kindSnapshot {
		err = errMalformed
	}
	if err != nil {
		return r.damage(err)
	}
	if err := r.start(&h, f.payload); err != nil || r.over || r.core == nil {
		return err
	}
	r.off += size
	return r.rounds()
}

// start reads the segment's snapshot. If a core was replayed up to it, the snapshot must equal its state; otherwise a core is made from it.
func (r *replay) start(h *header, payload []byte) error {
	s, err := decodeSnapshot(payload)
	if err != nil {
		r.core = nil
		return r.damage(err)
	}
	goesOn := r.core != nil && r.whole && h.begin == BeginSegment && h.life == r.life && h.number == r.prior+1
	if goesOn {
		mine := r.core.Snapshot()
		if mine.Reduce(s.Form); !reflect.DeepEqual(&mine, s) {
			return &DivergedError{Segment: h.number, Wall: s.Now.Wall, Version: h.version}
		}
	} else {
		core, err := scaler.Resume(s)
		if err != nil {
			r.core = nil
			return r.damage(err)
		}
		if r.core = core; r.begin == BeginSegment && r.any {
			r.begin = BeginGap
		}
	}
	r.any, r.whole, r.life, r.prior, r.at = true, false, h.life, h.number, startOf(s.Now)
	r.wall = s.Now.Wall
	if r.after(s.Now.Wall) {
		return nil
	}
	return r.f(Step{Core: r.core, Now: s.Now, Batch: &scaler.Batch{}, Begin: r.begin, Segment: h.number, File: r.file})
}

// after reports whether the replay is over, because t is after Until.
func (r *replay) after(t time.Time) bool {
	r.over = !r.o.Until.IsZero() && t.After(r.o.Until)
	return r.over
}

// rounds replays what follows the snapshot. It reads a record before it shows the previous round, because the record contains the check
// value of that round.
func (r *replay) rounds() error {
	pending := Step{}
	for r.off < len(r.data) {
		f, size, err := next(r.data[r.off:])
		var rd round
		switch {
		case err != nil:
		case f.kind == kindRound:
			rd, err = parseRound(f.payload, &r.at)
		case f.kind == kindMark && len(f.payload) == 5:
			d := decoder{b: f.payload}
			r.whole = d.byte() == markRotated
			rd.check = d.uint32()
		default:
			err = errMalformed
		}
		if err != nil {
			if shown := r.show(&pending); shown != nil {
				return shown
			}
			return r.damage(err)
		}
		if rd.check != r.check {
			return &DivergedError{Segment: r.prior, Round: r.round, Wall: r.wall, Version: r.file.Version}
		}
		if err := r.show(&pending); err != nil {
			return err
		}
		r.off += size
		if f.kind == kindMark {
			return r.trailing()
		}
		if r.after(rd.now.Wall) {
			return nil
		}
		pending = r.step(&rd)
	}
	return r.show(&pending)
}

// trailing treats anything after a mark as damage.
func (r *replay) trailing() error {
	if r.off < len(r.data) {
		r.whole = false
		return r.damage(errMalformed)
	}
	return nil
}

func (r *replay) step(rd *round) Step {
	for i := range rd.events {
		r.core.Step(rd.now, rd.events[i])
	}
	b := r.core.Take()
	r.check, r.wall = Check(b), rd.now.Wall
	r.round++
	return Step{Core: r.core, Now: rd.now, Events: rd.events, Batch: b, Segment: r.prior, Round: r.round, File: r.file}
}

// show passes a step to the callback, once.
func (r *replay) show(s *Step) error {
	if s.Round == 0 {
		return nil
	}
	out := *s
	*s = Step{}
	return r.f(out)
}
