package journal

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// run is the background goroutine. It writes at most delay after something was appended, and at once when the buffer is full.
func (w *Writer) run() {
	defer close(w.ended)
	defer w.disk.retire()
	flush, again := stoppedTimer(), stoppedTimer()
	armed, pause := false, time.Duration(0)
	for {
		var answer chan error
		select {
		case <-w.dirty:
			if !armed {
				armed = true
				flush.Reset(delay)
			}
			continue
		case <-again.C:
			if err := w.disk.probe(); err == nil {
				w.due.Store(true)
			} else {
				pause = longer(pause)
				again.Reset(pause)
			}
			continue
		case <-flush.C:
			armed = false
		case <-w.full:
		case answer = <-w.flushes:
		case <-w.closing:
			_, _ = w.write()
			return
		}
		wrote, err := w.write()
		switch {
		case err != nil:
			pause = longer(pause)
			again.Reset(pause)
		case wrote:
			pause = 0
		}
		if answer != nil {
			answer <- w.settled(err)
		}
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// longer returns the next pause between two tries to write, after a failure.
func longer(pause time.Duration) time.Duration { return min(max(2*pause, delay), time.Minute) }

// settled returns the answer to a Flush. Even if the last write succeeded, the answer is an error when events were dropped.
func (w *Writer) settled(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.bypass.Load() && w.life != (Life{}) {
		return errGap
	}
	return err
}

var errGap = errors.New("journal: events were dropped, because the disk was too slow or full")

// write writes what is pending to the file. The first failure drops everything and begins a gap; so does data that the owner had to drop.
func (w *Writer) write() (wrote bool, err error) {
	w.mu.Lock()
	work := w.pending
	w.pending, w.bytes = w.spare[:0], 0
	dropped := w.dropped
	w.dropped = false
	w.mu.Unlock()
	for i := range work {
		c := &work[i]
		if err == nil {
			err = w.writeChunk(c)
		}
		c.begin = nil
		if cap(c.data) > 8*fullBuffer {
			c.data = nil
		}
	}
	w.mu.Lock()
	w.spare = work[:0]
	if err != nil {
		w.gap()
		w.dropped = false
	}
	w.mu.Unlock()
	if err == nil && dropped {
		err = errGap
	}
	w.tell(err, len(work) > 0)
	return len(work) > 0, err
}

// tell logs the first of consecutive failures, and when writing works again.
func (w *Writer) tell(err error, wrote bool) {
	was := w.disk.err()
	if err == nil && !wrote {
		return
	}
	w.disk.setErr(err)
	switch {
	case err != nil && was == nil:
		w.o.Log.Warn("the journal cannot be written: what happens now cannot be explained or replayed later; the manager itself goes on",
			"directory", w.disk.dir, "error", err)
	case err == nil && was != nil:
		w.o.Log.Info("the journal is written again", "directory", w.disk.dir)
	}
}

func (w *Writer) writeChunk(c *chunk) error {
	if c.begin != nil {
		first, err := w.disk.begin(c.begin)
		if err != nil {
			return err
		}
		w.limit.Store(max(w.o.MaxBytes/8, 4*first) - first)
	}
	return w.disk.write(c.data)
}

// disk is the journal's directory. Everything except err belongs to the background goroutine.
type disk struct {
	dir      string
	max      int64
	next     uint64
	segments []onDisk       // closed segments, oldest first
	bytes    int64          // size of all of them
	file     io.WriteCloser // the open segment; nil: none
	info     os.FileInfo    // of file
	create   func(path string) (io.WriteCloser, error)
	name     string
	size     int64

	mu     sync.Mutex
	failed error
}

type onDisk struct {
	name string
	size int64
}

func openDisk(dir string, limit int64) (*disk, error) {
	d := &disk{dir: dir, max: limit, create: createFile}
	return d, d.look()
}

// look finds the closed segments that exist.
func (d *disk) look() error {
	files, err := list(d.dir)
	if err != nil {
		return err
	}
	d.segments, d.bytes = nil, 0
	for _, f := range files {
		info, err := os.Stat(filepath.Join(d.dir, f.name))
		if err != nil {
			return err
		}
		d.segments = append(d.segments, onDisk{f.name, info.Size()})
		d.bytes += info.Size()
		d.next = max(d.next, f.number)
	}
	return nil
}

type numbered struct {
	name   string
	number uint64
}

// list returns the segments of a directory, in ascending order of number.
func list(dir string) (files []numbered, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if n, ours := numberOf(e.Name()); ours {
			files = append(files, numbered{e.Name(), n})
		}
	}
	slices.SortFunc(files, func(a, b numbered) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// numberOf returns the number in the name of a segment; false: name is not a segment's.
func numberOf(name string) (uint64, bool) {
	digits, ours := strings.CutSuffix(name, extension)
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		n = 0
	}
	return n, ours && err == nil && len(digits) == 16
}

// begin closes the open segment and starts the next one. It returns the size of the new segment with its snapshot.
func (d *disk) begin(b *beginning) (int64, error) {
	d.retire()
	d.next++
	b.header.number = d.next
	snapshot, err := encodeSnapshot(b.snapshot)
	if err != nil {
		return 0, fmt.Errorf("a snapshot cannot be written: %w", err)
	}
	out := []byte(magic)
	at := len(out)
	out = seal(b.header.append(begin(out, kindHeader)), at)
	at = len(out)
	out = seal(append(begin(out, kindSnapshot), snapshot...), at)
	d.name = fmt.Sprintf("%016x%s", d.next, extension)
	file, err := d.create(filepath.Join(d.dir, d.name))
	if err != nil {
		return 0, err
	}
	d.file = file
	if d.info, err = os.Stat(filepath.Join(d.dir, d.name)); err != nil {
		d.retire()
		return 0, err
	}
	return int64(len(out)), d.write(out)
}

// errRemoved is returned instead of writing to a file that no longer has a name.
var errRemoved = errors.New("another program removed or replaced its files; a new segment is started")

// removed reports whether the open segment was removed or replaced. If so, it gives the segment up.
func (d *disk) removed() bool {
	now, err := os.Stat(filepath.Join(d.dir, d.name))
	if err == nil && os.SameFile(d.info, now) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return false
	}
	_ = d.file.Close() // its bytes are lost in any case
	d.file, d.size = nil, 0
	if err := d.mkdir(); err == nil {
		_ = d.look() // the next probe reports the error
	}
	return true
}

func createFile(path string) (io.WriteCloser, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

func encodeSnapshot(s *scaler.Snapshot) ([]byte, error) {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewWriterSize(z, 32<<10)
	err = errors.Join(gob.NewEncoder(buffered).Encode(s), buffered.Flush(), z.Close())
	return b.Bytes(), err
}

func (d *disk) write(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if d.file == nil {
		return errors.New("no segment is open")
	}
	if d.removed() {
		return errRemoved
	}
	n, err := d.file.Write(data)
	d.size += int64(n)
	if err != nil {
		d.retire()
		return err
	}
	return d.prune()
}

// retire closes the open segment.
func (d *disk) retire() {
	if d.file == nil {
		return
	}
	_ = d.file.Close() // what was written stays readable; nothing can be done about the rest
	d.segments = append(d.segments, onDisk{d.name, d.size})
	d.bytes += d.size
	d.file, d.size = nil, 0
}

// prune removes the oldest segments until the rest fits.
func (d *disk) prune() error {
	for len(d.segments) > 0 && d.bytes+d.size > d.max {
		if err := os.Remove(filepath.Join(d.dir, d.segments[0].name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		d.bytes -= d.segments[0].size
		d.segments = d.segments[1:]
	}
	return nil
}

// mkdir creates the directory if it was removed, but not its parent: a state directory without its state would be misleading.
func (d *disk) mkdir() error {
	if err := os.Mkdir(d.dir, 0o700); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// probe reports whether a file of some size can be written.
func (d *disk) probe() error {
	if err := d.mkdir(); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.dir, "probe-*")
	if err != nil {
		return err
	}
	return fill(f)
}

// fill writes f, closes it and removes it, whatever fails.
func fill(f *os.File) error {
	_, err := f.Write(make([]byte, fullBuffer))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (d *disk) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

func (d *disk) setErr(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = err
}
