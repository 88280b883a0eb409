package journal

import (
	"bytes"
	"compress/flate"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// Journal is the list of a directory's segments when it was opened. If a manager is still writing, a replay includes what it adds to the
// last segment, but no new segments.
type Journal struct{ segments []Segment }

// Segment is one file of a journal.
type Segment struct {
	Path    string
	Number  uint64
	Life    Life
	Begin   Begin
	At      time.Time // when its snapshot was taken, in UTC
	Version string    // version of the build that wrote it
	Size    int64
	Err     error // why it cannot be read. Then only Path, Number (from the file's name) and Size are set; nil: it can be read
}

// OpenDir reads the headers of all segments of a directory, or of one segment. A segment that cannot be read is listed with its error.
// Errors: path cannot be read, or contains no segment (fs.ErrNotExist).
func OpenDir(path string) (*Journal, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	number, _ := numberOf(filepath.Base(path))
	files := []numbered{{filepath.Base(path), number}}
	dir := filepath.Dir(path)
	if info.IsDir() {
		dir = path
		if files, err = list(path); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
	}
	j := &Journal{}
	for _, f := range files {
		s, err := readHead(filepath.Join(dir, f.name))
		if errors.Is(err, os.ErrNotExist) {
			continue // the writer has removed it meanwhile, because it was the oldest
		}
		if s.Err = err; err != nil {
			s.Number = f.number
		}
		j.segments = append(j.segments, s)
	}
	if len(j.segments) == 0 {
		return nil, fmt.Errorf("journal: %s has no segment of a journal (*%s): %w", path, extension, os.ErrNotExist)
	}
	return j, nil
}

// Segments returns the segments, oldest first.
func (j *Journal) Segments() []Segment { return append([]Segment(nil), j.segments...) }

// maxHead limits the size of the header record. Only its version text has no fixed size.
const maxHead = 64 << 10

func readHead(path string) (Segment, error) {
	s := Segment{Path: path}
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would block
		return s, errors.New("it is not a regular file")
	}
	s.Size = info.Size()
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return s, err
	}
	h, _, err := head(b)
	if err == nil {
		s.Number, s.Life, s.Begin, s.At, s.Version = h.number, h.life, h.begin, time.Unix(0, h.wall).UTC(), h.version
	}
	return s, err
}

// errEmpty: nothing was written to the segment.
var errEmpty = fmt.Errorf("it is empty: %w", errTorn)

// head reads the header and returns the position of the record after it.
func head(b []byte) (h header, size int, err error) {
	switch {
	case len(b) == 0:
		return h, 0, errEmpty
	case len(b) < len(magic) && strings.HasPrefix(magic, string(b)) || len(b) >= len(magic) && blank(b):
		return h, 0, errTorn
	case !bytes.HasPrefix(b, []byte(magic)):
		return h, 0, errors.New("it is not a segment of a journal")
	}
	f, n, err := next(b[len(magic):])
	if err == nil && f.kind != kindHeader {
		err = errMalformed
	}
	if err != nil {
		return h, 0, err
	}
	h, err = parseHeader(f.payload)
	return h, len(magic) + n, err
}

// The unpacked size of a snapshot is limited, also in relation to its packed size. Real snapshots are packed about 5 to 20 times, zeros 1000 times.
const (
	maxSnapshot = 512 << 20 // bytes
	maxPacked   = 100       // times
	smallest    = 1 << 20   // bytes that every snapshot may have
)

func decodeSnapshot(payload []byte) (*scaler.Snapshot, error) {
	limit := min(maxSnapshot, smallest+maxPacked*int64(len(payload)))
	return readSnapshot(io.LimitReader(flate.NewReader(bytes.NewReader(payload)), limit))
}

func readSnapshot(plain io.Reader) (*scaler.Snapshot, error) {
	s := &scaler.Snapshot{}
	if err := gob.NewDecoder(plain).Decode(s); err != nil {
		return nil, fmt.Errorf("cannot decode the snapshot: %w", err)
	}
	return s, nil
}

// Problem is damage that a replay found and skipped.
type Problem struct {
	Segment uint64
	Path    string
	Offset  int64 // position in the file; the rest of the file was not used
	Torn    bool  // the end is missing, as after a crash; false for other damage, such as a wrong checksum
	Err     error
}

// Error says what is damaged, and where.
func (p *Problem) Error() string {
	switch {
	case p.Torn:
		return fmt.Sprintf("journal: segment %016x ends at byte %d of %s, as after a crash: %v", p.Segment, p.Offset, p.Path, p.Err)
	case p.Offset == 0:
		return fmt.Sprintf("journal: segment %016x, %s, cannot be read: %v", p.Segment, p.Path, p.Err)
	}
	return fmt.Sprintf("journal: segment %016x is damaged at byte %d of %s, and the rest of it is not used: %v", p.Segment, p.Offset, p.Path, p.Err)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// DivergedError says that a replay decided differently than the manager did. Either the replaying version decides differently, or the core
// is not deterministic, which is a bug.
type DivergedError struct {
	Segment uint64
	Round   int       // number in the segment, from 1; 0: the snapshot at its beginning
	Wall    time.Time // time of the round
	Version string    // version of the build that wrote the journal
}

// Error names the round.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("journal: the replay decided differently than the manager did, at round %d of segment %016x (%s), which version %q wrote: "+
		"replay it with that version", e.Round, e.Segment, e.Wall.Format(time.RFC3339Nano), e.Version)
}
