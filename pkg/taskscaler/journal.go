package taskscaler

import (
	"context"
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// JournalOptions bound a journal. The zero JournalOptions are good.
type JournalOptions struct {
	MaxBytes int64  // of all its files; 0: 64 MiB
	Version  string // of the build, written into it for whoever reads it
}

// WithJournal keeps everything that the manager is told in the directory dir, which must be this manager's alone and is made if it is not
// there: so that what it decided can be explained and replayed later (`taskscaler explain`, `taskscaler replay`). The journal holds no
// secret, loses at most the last second when the process dies, and never delays or fails anything: where the disk cannot take it, it has a
// gap, and the log says so.
func WithJournal(dir string, o JournalOptions) Option {
	return func(to *options) { to.journalDir, to.journal = dir, o }
}

// flushPatience bounds how long the last rounds before a stop may take to be written.
const flushPatience = time.Second

// openJournal starts the journal of a core that has not stepped yet; nil: there is none.
func openJournal(o *options, core *scaler.Core) *journal.Writer {
	if o.journalDir == "" {
		return nil
	}
	w, err := journal.Open(o.journalDir, journal.Options{MaxBytes: o.journal.MaxBytes, Version: o.journal.Version, Log: o.log})
	if err != nil {
		o.log.Warn("no journal is kept: what happens cannot be explained or replayed later", "error", err)
		return nil
	}
	s := core.Snapshot()
	w.Start(&s)
	return w
}

// Journal is the directory of the journal; empty when none is kept.
func (t *Taskscaler) Journal() string {
	if t.journal == nil {
		return ""
	}
	return t.journal.Dir()
}

// FlushJournal returns when everything that was decided before is in the journal's files, or says why it is not. Without a journal it is nil.
func (t *Taskscaler) FlushJournal(ctx context.Context) error {
	if t.journal == nil {
		return nil
	}
	return t.journal.Flush(ctx)
}

// lastWords writes what led to a stop.
func (t *Taskscaler) lastWords() {
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := t.FlushJournal(ctx); err != nil {
		t.log.Warn("the end of the journal could not be written", "error", err)
	}
}

func closeJournal(w *journal.Writer, log *slog.Logger) {
	if w == nil {
		return
	}
	if err := w.Close(); err != nil {
		log.Warn("the journal was not closed in order", "error", err)
	}
}

// record notes the events of a round before they are stepped.
func (l *loop) record(now scaler.Time) {
	if l.t.journal != nil {
		l.t.journal.Round(now, l.mail.events)
	}
}

// recorded notes what came of a round, and begins a new file when that is due: only here, between two batches.
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
