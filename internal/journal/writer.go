package journal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

const (
	defaultMaxBytes = 64 << 20
	fullBuffer      = 64 << 10 // written at once when so many bytes are pending
	maxPending      = 4 << 20  // if more is pending, the disk is too slow, and the journal gets a gap
	delay           = time.Second
)

// Options configure a journal. The zero value is ready to use.
type Options struct {
	MaxBytes int64        // limit for all segments together; 0: 64 MiB. The segment that is being written is never removed
	Version  string       // of the build; readers of the journal see it
	Log      *slog.Logger // nil: no log
}

// Writer writes a journal. Start, Round, Taken, Due and Rotate belong to the goroutine that owns the core. Flush and Close may be called by
// any goroutine. Only Flush and Close wait for the disk. The other methods never fail; see the package documentation on loss.
type Writer struct {
	o      Options
	disk   *disk
	limit  atomic.Int64 // size limit for what follows a segment's snapshot
	due    atomic.Bool  // a snapshot is needed
	bypass atomic.Bool  // events are not recorded: the journal was not started, has a gap, or is closed

	mu      sync.Mutex
	pending []chunk
	spare   []chunk
	bytes   int  // size of pending
	dropped bool // the background goroutine has not seen the gap yet
	segment int64

	at    state
	life  Life
	check uint32

	dirty, full chan struct{}
	flushes     chan chan error
	closing     chan struct{}
	closed      sync.Once
	ended       chan struct{} // the background goroutine has ended
}

// chunk is data for one segment. If begin is not nil, the chunk starts a new segment.
type chunk struct {
	begin *beginning
	data  []byte
}

type beginning struct {
	header   header
	snapshot *scaler.Snapshot
}

// Open creates the directory if needed and starts the goroutine that writes. Nothing is written before Start. Errors: the directory cannot
// be created or read.
func Open(dir string, o Options) (*Writer, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w := &Writer{
		o: o, dirty: make(chan struct{}, 1), full: make(chan struct{}, 1), flushes: make(chan chan error), closing: make(chan struct{}),
		ended: make(chan struct{}),
	}
	var err error
	if w.disk, err = openDisk(dir, o.MaxBytes); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w.limit.Store(o.MaxBytes / 8)
	w.bypass.Store(true)
	go w.run()
	return w, nil
}

// Dir returns the journal's directory.
func (w *Writer) Dir() string { return w.disk.dir }

// Start begins the journal of a new run of the manager. s is the core's state before its first step; do not change it afterwards.
func (w *Writer) Start(s *scaler.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = rand.Read(w.life[:]) // never fails
	w.begin(BeginLife, s)
}

// Due reports whether the owner must call Rotate at its next batch boundary: the segment is full, or writing works again after a gap.
func (w *Writer) Due() bool { return w.due.Load() }

// Rotate begins a new segment. s is the core's state directly after a Take; do not change it afterwards.
func (w *Writer) Rotate(s *scaler.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	how := BeginGap
	if !w.bypass.Load() {
		how = BeginSegment
		w.mark(markRotated)
	}
	w.begin(how, s)
}

func (w *Writer) begin(how Begin, s *scaler.Snapshot) {
	select {
	case <-w.closing:
		return
	default:
	}
	w.due.Store(false)
	w.bypass.Store(false)
	w.at, w.check, w.segment = startOf(s.Now), 0, 0
	w.push(&beginning{header: header{life: w.life, begin: how, wall: s.Now.Wall.UnixNano(), version: w.o.Version}, snapshot: s})
	wake(w.dirty)
}

// push adds one chunk. It reuses the memory of an earlier one.
func (w *Writer) push(b *beginning) {
	n := len(w.pending)
	if n < cap(w.pending) {
		w.pending = w.pending[:n+1]
		w.pending[n].begin, w.pending[n].data = b, w.pending[n].data[:0]
		return
	}
	w.pending = append(w.pending, chunk{begin: b})
}

// Round records the events that the owner is about to step at now. It shortens the failure texts in events themselves, so that a replay
// gives the core the same events.
func (w *Writer) Round(now scaler.Time, events []scaler.Event) {
	for i := range events {
		if f := &events[i].Failure; f.Message != "" {
			f.Message = cut(f.Message)
		}
	}
	if w.bypass.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bypass.Load() || w.bytes > maxPending {
		w.gap()
		return
	}
	if len(w.pending) == 0 {
		w.push(nil)
		wake(w.dirty)
	}
	c := &w.pending[len(w.pending)-1]
	from := len(c.data)
	data, err := w.appendRound(c.data, now, events)
	if err != nil {
		w.o.Log.Warn("the journal has a gap", "error", err)
		w.gap()
		return
	}
	c.data = data
	w.grown(len(data) - from)
}

func (w *Writer) appendRound(b []byte, now scaler.Time, events []scaler.Event) (_ []byte, err error) {
	at := len(b)
	b = begin(b, kindRound)
	b = binary.LittleEndian.AppendUint32(b, w.check)
	mono, wall := int64(now.Mono), now.Wall.UnixNano()
	elapsed := mono - w.at.mono
	b = binary.AppendVarint(b, elapsed)
	b = binary.AppendVarint(b, wall-w.at.wall-elapsed)
	w.at.mono, w.at.wall = mono, wall
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		if b, err = appendEvent(b, &w.at, &events[i]); err != nil {
			return b, err
		}
	}
	return seal(b, at), nil
}

// grown counts n appended bytes, and signals when the buffer or the segment is full.
func (w *Writer) grown(n int) {
	before := w.bytes
	w.bytes += n
	w.segment += int64(n)
	if w.bytes >= fullBuffer && before < fullBuffer {
		wake(w.full)
	}
	if w.segment >= w.limit.Load() {
		w.due.Store(true)
	}
}

// gap drops what is in memory. The next segment will begin with BeginGap.
func (w *Writer) gap() {
	w.bypass.Store(true)
	w.dropped = true
	for i := range w.pending {
		w.pending[i] = chunk{}
	}
	w.pending, w.bytes = w.pending[:0], 0
	wake(w.full) // the background goroutine checks whether the disk works
}

// Taken records the batch that resulted from the last Round.
func (w *Writer) Taken(b *scaler.Batch) {
	if !w.bypass.Load() {
		w.check = Check(b)
	}
}

// mark ends a segment properly.
func (w *Writer) mark(what byte) {
	if len(w.pending) == 0 {
		w.push(nil)
	}
	c := &w.pending[len(w.pending)-1]
	at := len(c.data)
	c.data = append(begin(c.data, kindMark), what)
	c.data = seal(binary.LittleEndian.AppendUint32(c.data, w.check), at)
	w.bytes += len(c.data) - at
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ErrClosed is returned by Flush after Close.
var ErrClosed = errors.New("journal: closed")

// Flush waits until everything recorded before is in the file. It returns an error if it is not, and also after a gap.
func (w *Writer) Flush(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case w.flushes <- answer:
	case <-w.ended:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close writes what is left and ends the journal properly. The owner must not call any other method afterwards. A second Close does
// nothing. If the disk hangs, Close returns an error after 5 seconds; the goroutine that hangs is abandoned.
func (w *Writer) Close() error {
	w.closed.Do(func() {
		w.mu.Lock()
		if !w.bypass.Load() {
			w.mark(markClosed)
			w.bypass.Store(true)
		}
		close(w.closing)
		w.mu.Unlock()
	})
	patience := time.NewTimer(5 * time.Second)
	defer patience.Stop()
	select {
	case <-w.ended:
		return w.disk.err()
	case <-patience.C:
		return errors.New("journal: the disk does not answer")
	}
}
