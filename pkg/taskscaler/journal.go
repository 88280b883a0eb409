package taskscaler

import (
	"context"
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// JournalOptions configures a journal. The zero value is ready to use.
type JournalOptions struct {
	MaxBytes int64  // limit on the size of all files together, in bytes. Default: 64 MiB
	Version  string // version of the build, recorded in the journal. Default: empty
}

// WithJournal records every event that the manager receives in files in dir. `taskscaler explain` and `taskscaler replay` read them to show
// and repeat the manager's decisions. New creates dir if it does not exist. No other manager may use it. Default: no journal.
//
// The journal contains no secrets. If the process dies, at most the last second is lost. The journal never delays the manager and never
// makes it fail: if the disk cannot be written, the journal has a gap, and the log says so.
func WithJournal(dir string, o JournalOptions) Option {
	return func(to *options) { to.journalDir, to.journal = dir, o }
}

// flushPatience is how long a manager that stops itself waits until its last events are written.
const flushPatience = time.Second

// openJournal starts the journal of a core that has not processed an event yet. It returns nil if there is no journal.
func openJournal(o *options, core *scaler.Core) *journal.Writer {
	if o.journalDir == "" {
		return nil
	}
	w, err := journal.Open(o.journalDir, journal.Options{MaxBytes: o.journal.MaxBytes, Version: o.journal.Version, Log: o.log})
	if err != nil {
		o.log.Warn("no journal is kept, so `taskscaler explain` and `taskscaler replay` will not work: correct the directory and restart the manager",
			"dir", o.journalDir, "error", err)
		return nil
	}
	s := core.Snapshot()
	w.Start(&s)
	return w
}

// Journal returns the directory of the journal, or "" if there is none.
func (t *Taskscaler) Journal() string {
	if t.journal == nil {
		return ""
	}
	return t.journal.Dir()
}

// FlushJournal returns nil when everything that the manager decided before the call is in the journal's files, or if there is no journal.
// It is an error if the journal has a gap, or if ctx ends first.
func (t *Taskscaler) FlushJournal(ctx context.Context) error {
	if t.journal == nil {
		return nil
	}
	return t.journal.Flush(ctx)
}

// lastWords writes the events that led to a stop.
func (t *Taskscaler) lastWords() {
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := t.FlushJournal(ctx); err != nil {
		t.log.Warn("the end of the journal could not be written, so its last events are missing: check the disk", "error", err)
	}
}

func closeJournal(w *journal.Writer, log *slog.Logger) {
	if w == nil {
		return
	}
	if err := w.Close(); err != nil {
		log.Warn("the journal could not be closed, so its last events may be missing: check the disk", "error", err)
	}
}

// record writes the events of a round before the core processes them.
func (l *loop) record(now scaler.Time) {
	if l.t.journal != nil {
		l.t.journal.Round(now, l.mail.events)
	}
}

// recorded writes the result of a round, and starts a new file if one is due. A new file can start only between two batches.
func (l *loop) recorded(b *scaler.Batch) {
	w := l.t.journal
	if w == nil {
		return
	}
	w.Taken(b)
	if b.Bug == nil && w.Due() {
		s := l.core.Snapshot()
		w.Rotate(&s)
	}
}
