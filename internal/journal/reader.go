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

// Journal is a directory's segments as they were when it was opened. A manager may go on writing: what it adds to the last segment is read,
// new segments are not.
type Journal struct{ segments []Segment }

// Segment is one file.
type Segment struct {
	Path    string
	Number  uint64
	Life    Life
	Begin   Begin
	At      time.Time // when its snapshot was taken, UTC
	Version string    // of the build that wrote it
	Size    int64
	Err     error // why it cannot be read at all, with only Path, Number (by the file's name) and Size known; nil: it can
}

// OpenDir reads the headers of a directory's segments, or of one segment. A segment that cannot be read is listed with its error. Errors: path
// cannot be read, or has no segment (fs.ErrNotExist).
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
			continue // it was the oldest and has been removed meanwhile
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

// Segments are the files, oldest first.
func (j *Journal) Segments() []Segment { return append([]Segment(nil), j.segments...) }

// maxHead bounds the header's record: its only part without a fixed size is a version.
const maxHead = 64 << 10

func readHead(path string) (Segment, error) {
	s := Segment{Path: path}
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait for ever
		return s, errors.New("it is no file")
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

// errEmpty is a segment that nothing was written into.
var errEmpty = fmt.Errorf("it is empty: %w", errTorn)

// head reads the header and returns where the records behind it begin.
func head(b []byte) (h header, size int, err error) {
	switch {
	case len(b) == 0:
		return h, 0, errEmpty
	case len(b) < len(magic) && strings.HasPrefix(magic, string(b)) || len(b) >= len(magic) && blank(b):
		return h, 0, errTorn
	case !bytes.HasPrefix(b, []byte(magic)):
		return h, 0, errors.New("it is no segment of a journal")
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

// maxSnapshot bounds what a snapshot may unpack to.
const maxSnapshot = 512 << 20

func decodeSnapshot(payload []byte) (*scaler.Snapshot, error) {
	z := flate.NewReader(bytes.NewReader(payload))
	s := &scaler.Snapshot{}
	if err := gob.NewDecoder(io.LimitReader(z, maxSnapshot)).Decode(s); err != nil {
		return nil, fmt.Errorf("the snapshot cannot be read: %w", err)
	}
	return s, nil
}

// Problem is damage that a replay met and went round.
type Problem struct {
	Segment uint64
	Path    string
	Offset  int64 // where in the file; what follows was not used
	Torn    bool  // the end is missing, as a crash leaves it; a checksum that is wrong is another matter
	Err     error
}

// Error says what is damaged, and where.
func (p *Problem) Error() string {
	switch {
	case p.Torn:
		return fmt.Sprintf("journal: segment %016x ends at byte %d of %s, as a crash leaves it: %v", p.Segment, p.Offset, p.Path, p.Err)
	case p.Offset == 0:
		return fmt.Sprintf("journal: segment %016x, %s, cannot be read: %v", p.Segment, p.Path, p.Err)
	}
	return fmt.Sprintf("journal: segment %016x is damaged at byte %d of %s, and what follows in it is not used: %v", p.Segment, p.Offset, p.Path, p.Err)
}

// Unwrap gives the fault itself.
func (p *Problem) Unwrap() error { return p.Err }

// DivergedError says that a replay decided otherwise than the manager did: another version decides otherwise, or the core is not
// deterministic, which is a fault of ours.
type DivergedError struct {
	Segment uint64
	Round   int       // in the segment, from 1; 0: the snapshot at its beginning
	Wall    time.Time // of the round
	Version string    // of the build that wrote the journal
}

// Error names the round.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("journal: the replay decides otherwise than the manager did, at round %d of segment %016x (%s), which version %q wrote: "+
		"replay it with that version", e.Round, e.Segment, e.Wall.Format(time.RFC3339Nano), e.Version)
}
