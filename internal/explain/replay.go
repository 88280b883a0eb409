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
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
)

// entries maps the beginning of a journal segment to the Entry of a History.
var entries = [...]Entry{
	journal.BeginNone: EntrySegment, journal.BeginLife: EntryLife, journal.BeginSegment: EntrySegment, journal.BeginGap: EntryGap,
}

// FromJournal replays the journal at path: a directory or one segment. If the replay decides differently than the manager did, the error is a
// *journal.DivergedError.
func FromJournal(ctx context.Context, path string) Feed {
	return func(until time.Time, h *History) (notes []string, err error) {
		j, err := openJournal(path)
		if err != nil {
			return nil, err
		}
		o := journal.ReplayOptions{Until: until, Report: func(p *journal.Problem) {
			if !p.Torn || len(notes) == 0 { // a crash is visible from the manager's next start
				notes = append(notes, p.Error())
			}
		}}
		last := uint64(0)
		err = j.Replay(o, func(s journal.Step) error {
			if s.Begin != journal.BeginNone {
				if last > 0 && s.Segment > last+1 && s.Begin == journal.BeginLife { // otherwise it is a gap, which has its own record
					notes = append(notes, fmt.Sprintf("the events before the manager's start at %s are missing from the journal", h.clock(s.Now.Wall)))
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

// openJournal opens a journal. If there is none, the error says where to look.
func openJournal(path string) (*journal.Journal, error) {
	j, err := journal.OpenDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: give the folder `journal` of a runner, which is in state_storage.dir; for a running manager, `taskscaler status --json` shows its path", err)
	}
	if err != nil {
		return nil, err
	}
	if all := j.Segments(); len(all) == 1 && all[0].Err != nil {
		return nil, fmt.Errorf("cannot replay %s: %w", all[0].Path, all[0].Err)
	}
	return j, nil
}

// ReplaySchema is the name of the format of `taskscaler replay --json`: one line of JSON with this name, one for each record, one for the end.
const ReplaySchema = "taskscaler.replay/v1"

// ReplayRequest is one call of `taskscaler replay`.
type ReplayRequest struct {
	Path     string // a journal's directory, or one segment; empty: Source says which one
	Source   Source
	Until    string // a time in a form that When reads; empty: replay everything
	JSON     bool
	Location *time.Location
	Now      time.Time
	Out      io.Writer
	Progress io.Writer // a terminal for the progress; nil: no progress
}

// ReplayEnd is the last line of a replay in JSON.
type ReplayEnd struct {
	Journal  Span       `json:"journal"`
	State    *State     `json:"state"`
	Waits    *WaitTotal `json:"waits"`
	Problems []string   `json:"problems"`           // gaps and damage
	Diverged string     `json:"diverged,omitempty"` // where the replay decided differently than the manager did
	Sentence string     `json:"sentence"`
}

// Check returns an error if the flags are wrong.
func (q *ReplayRequest) Check() error {
	if s := q.Source; q.Path != "" && (s.Config != "" || s.Runner != "") {
		return errors.New("a journal that is named excludes --config and --runner: use one of them")
	}
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

// Replay replays a journal. It writes one line for each record, then the state at the end and a summary. If the replay decides differently
// than the manager did, it writes everything up to that point and returns an error.
func Replay(ctx context.Context, q ReplayRequest) error {
	if q.Location == nil {
		q.Location = time.UTC
	}
	until, err := q.until()
	if err != nil {
		return err
	}
	if q.Path == "" {
		where, err := q.Source.find(ctx)
		if err != nil {
			return err
		}
		q.Path = where.path
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

// outside returns the reason why there was nothing to replay.
func outside(path string, until time.Time, err error) error {
	j, failed := journal.OpenDir(path)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	for _, s := range j.Segments() {
		if s.Err == nil {
			return fmt.Errorf("--until %s is before the journal begins: give a time after %s", until.Format(time.DateTime), s.At.In(until.Location()).Format(time.DateTime))
		}
	}
	return errEmpty
}

// replayWriter writes the output of a replay while it runs.
type replayWriter struct {
	q     ReplayRequest
	page  *page
	h     *History
	shown int // the number of rounds in the last progress message
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
	_, _ = w.page.Write(append(raw, '\n')) // Flush returns the error
}

func (w *replayWriter) record(r *Record) {
	if w.q.JSON {
		w.encode(map[string]*Record{"record": r})
	} else {
		w.page.line("%s %s", r.Time.Format(time.DateTime), r.Sentence)
	}
	w.progress(false)
}

// progressEvery is the number of rounds between two progress messages.
const progressEvery = 50_000

func (w *replayWriter) progress(over bool) {
	if w.q.Progress == nil {
		return
	}
	s := w.h.Span()
	switch {
	case over && w.shown > 0:
		_, _ = io.WriteString(w.q.Progress, "\r\x1b[K")
	case !over && s.Rounds >= w.shown+progressEvery:
		w.shown = s.Rounds
		_, _ = safetext.Fprintf(w.q.Progress, "\rreplayed %d events, up to %s", s.Events, s.To.Format(time.DateTime))
	}
}

// end writes the state at the end, and a summary.
func (w *replayWriter) end(h *History, problems []string, diverged *journal.DivergedError) {
	s := h.Span()
	e := ReplayEnd{Journal: s, State: h.State(), Waits: waitTotal(h), Problems: append([]string{}, problems...)}
	e.Sentence = fmt.Sprintf("replayed %s, %s, %s, from %s to %s", words.Count(s.Rounds, "round"), words.Count(s.Events, "event"), words.Count(s.Lives, "manager run"),
		s.From.Format(time.DateTime), s.To.Format(time.DateTime))
	if s.Gaps > 0 {
		e.Sentence += ", with " + words.Count(s.Gaps, "gap")
	}
	if diverged != nil {
		e.Diverged = diverged.Error()
		e.Sentence += "; after this the replay decided differently than the manager did"
	}
	if w.q.JSON {
		w.encode(map[string]ReplayEnd{"end": e})
		return
	}
	w.page.day = s.To
	w.page.line("\nat the end, %s", s.To.Format(time.DateTime+" MST"))
	w.page.state(e.State)
	w.page.line("\nwaits      in the whole journal: %s", e.Waits.Sentence)
	for _, p := range problems {
		w.page.line("problem    %s", p)
	}
	w.page.line("%s", e.Sentence)
}
