package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/observe"
)

// entries are the beginnings of the journal's segments as a History knows them.
var entries = [...]Entry{
	journal.BeginNone: EntrySegment, journal.BeginLife: EntryLife, journal.BeginSegment: EntrySegment, journal.BeginGap: EntryGap,
}

// FromJournal replays the journal at path: a directory, or one segment. A divergence is a *journal.DivergedError.
func FromJournal(ctx context.Context, path string) Feed {
	return func(until time.Time, h *History) (notes []string, err error) {
		j, err := openJournal(path)
		if err != nil {
			return nil, err
		}
		o := journal.ReplayOptions{Until: until, Report: func(p *journal.Problem) {
			if !p.Torn || len(notes) == 0 { // a crash is told by the life that follows
				notes = append(notes, p.Error())
			}
		}}
		last := uint64(0)
		err = j.Replay(o, func(s journal.Step) error {
			if s.Begin != journal.BeginNone {
				if last > 0 && s.Segment > last+1 && s.Begin == journal.BeginLife { // else it is a gap that tells itself
					notes = append(notes, fmt.Sprintf("the end of the life before %s is missing from the journal", h.clock(s.Now.Wall)))
				}
				last = s.Segment
				h.Begin(s.Core, s.Now, entries[s.Begin])
			} else {
				h.Add(s.Core, s.Now, s.Events, s.Batch)
			}
			return context.Cause(ctx)
		})
		return notes, err
	}
}

// openJournal opens a journal, and says what to do where there is none.
func openJournal(path string) (*journal.Journal, error) {
	j, err := journal.OpenDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: name the folder `journal` in a runner's folder of state_storage.dir; `taskscaler status --json` has it for a manager that runs", err)
	}
	if err != nil {
		return nil, err
	}
	if all := j.Segments(); len(all) == 1 && all[0].Err != nil {
		return nil, fmt.Errorf("%s cannot be replayed: %w", all[0].Path, all[0].Err)
	}
	return j, nil
}

// ReplaySchema names the format of `taskscaler replay --json`: a line of JSON for this name, for each record, and for the end.
const ReplaySchema = "taskscaler.replay/v1"

// ReplayRequest says what is replayed, and where to.
type ReplayRequest struct {
	Path     string // a journal's directory, or one segment
	Until    string // a moment as When reads it; empty: all
	JSON     bool
	Location *time.Location
	Now      time.Time
	Out      io.Writer
	Progress io.Writer // a terminal that is told how far it is; nil: none
}

// ReplayEnd is the last line of a replay in JSON.
type ReplayEnd struct {
	Journal  Span       `json:"journal"`
	State    *State     `json:"state"`
	Waits    *WaitTotal `json:"waits"`
	Problems []string   `json:"problems"`           // gaps and damage
	Diverged string     `json:"diverged,omitempty"` // where the replay decided otherwise than the manager
	Sentence string     `json:"sentence"`
}

// Check returns what is wrong with the flags.
func (q *ReplayRequest) Check() error {
	_, err := q.until()
	return err
}

func (q *ReplayRequest) until() (time.Time, error) {
	if q.Until == "" {
		return time.Time{}, nil
	}
	until, err := When(q.Until, q.Now.In(q.Location))
	if err != nil {
		return time.Time{}, fmt.Errorf("--until: %w", err)
	}
	return until, nil
}

// Replay replays a journal and writes every record as it is made, a line each, then how things stood at the end and what was done. A replay
// that decides otherwise than the manager did is an error, after what it had by then was written.
func Replay(ctx context.Context, q ReplayRequest) error {
	if q.Location == nil {
		q.Location = time.UTC
	}
	until, err := q.until()
	if err != nil {
		return err
	}
	w := &replayWriter{q: q, page: newPage(q.Out, time.Time{})}
	w.start()
	h := NewHistory(Options{Location: q.Location, Keep: 1, Record: w.record})
	w.h = h
	problems, err := FromJournal(ctx, q.Path)(until, h)
	w.progress(true)
	var diverged *journal.DivergedError
	if err != nil && !errors.As(err, &diverged) {
		return errors.Join(err, w.page.Flush())
	}
	if h.core == nil {
		return outside(q.Path, until, w.page.Flush())
	}
	w.end(h, problems, diverged)
	return errors.Join(err, w.page.Flush())
}

// outside says why there was nothing to replay.
func outside(path string, until time.Time, err error) error {
	j, failed := journal.OpenDir(path)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	for _, s := range j.Segments() {
		if s.Err == nil {
			return fmt.Errorf("--until %s is before the journal begins: %s", until.Format(time.DateTime), s.At.In(until.Location()).Format(time.DateTime))
		}
	}
	return errEmpty
}

// replayWriter writes a replay as it goes.
type replayWriter struct {
	q     ReplayRequest
	page  *page
	h     *History
	shown int // rounds that the progress has shown
}

func (w *replayWriter) start() {
	if w.q.JSON {
		w.encode(map[string]string{"schema": ReplaySchema})
	}
}

func (w *replayWriter) encode(v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		raw = []byte(fmt.Sprintf(`{"error":%q}`, err))
	}
	w.page.line("%s", raw)
}

func (w *replayWriter) record(r *Record) {
	if w.q.JSON {
		w.encode(map[string]*Record{"record": r})
	} else {
		w.page.line("%s %s", r.Time.Format(time.DateTime), r.Sentence)
	}
	w.progress(false)
}

// progressEvery is how many rounds lie between two signs of life.
const progressEvery = 50_000

func (w *replayWriter) progress(over bool) {
	if w.q.Progress == nil {
		return
	}
	s := w.h.Span()
	switch {
	case over && w.shown > 0:
		_, _ = fmt.Fprint(w.q.Progress, "\r\x1b[K")
	case !over && s.Rounds >= w.shown+progressEvery:
		w.shown = s.Rounds
		_, _ = fmt.Fprintf(w.q.Progress, "\rreplayed %d events, up to %s", s.Events, s.To.Format(time.DateTime))
	}
}

// end writes how things stood, and what was done.
func (w *replayWriter) end(h *History, problems []string, diverged *journal.DivergedError) {
	s := h.Span()
	e := ReplayEnd{Journal: s, State: h.State(), Waits: waitTotal(h), Problems: append([]string{}, problems...)}
	e.Sentence = fmt.Sprintf("replayed %s, %s, %s, from %s to %s", observe.Count(s.Rounds, "round"), observe.Count(s.Events, "event"), lives(s.Lives),
		s.From.Format(time.DateTime), s.To.Format(time.DateTime))
	if s.Gaps > 0 {
		e.Sentence += ", with " + observe.Count(s.Gaps, "gap")
	}
	if diverged != nil {
		e.Diverged = diverged.Error()
		e.Sentence += "; there the replay began to decide otherwise than the manager did"
	}
	if w.q.JSON {
		w.encode(map[string]ReplayEnd{"end": e})
		return
	}
	w.page.day = s.To
	w.page.line("\nat the end, %s", s.To.Format(time.DateTime+" MST"))
	w.page.state(e.State)
	w.page.line("\nwaits      in all of the journal: %s", e.Waits.Sentence)
	for _, p := range problems {
		w.page.line("problem    %s", p)
	}
	w.page.line("%s", e.Sentence)
}
