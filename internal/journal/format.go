package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

const (
	magic     = "TSJRNL\r\n"
	format    = 1
	extension = ".tsj"

	kindHeader   = 1
	kindSnapshot = 2
	kindRound    = 3
	kindMark     = 4

	markRotated = 1
	markClosed  = 2

	// pad is the space reserved for a record's length before its payload is known.
	pad = 2
	// maxMessage is the longest text of a failure, in bytes.
	maxMessage = 512
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Begin says how a segment follows from what came before.
type Begin uint8

// The kinds of beginning. Most steps of a replay have BeginNone.
const (
	BeginNone    Begin = iota
	BeginLife          // the manager started
	BeginSegment       // only a new file
	BeginGap           // events before this are lost: the disk could not take them, or a segment is missing or damaged
)

// String returns the kind as one word.
func (b Begin) String() string {
	switch b {
	case BeginLife:
		return "life"
	case BeginSegment:
		return "segment"
	case BeginGap:
		return "gap"
	}
	return "none"
}

// Life identifies one run of a manager, among others that wrote to the same directory.
type Life [16]byte

// String returns the life in hexadecimal.
func (l Life) String() string { return fmt.Sprintf("%x", l[:]) }

// header is the first record of a segment.
type header struct {
	life    Life
	number  uint64
	begin   Begin
	wall    int64
	version string
}

func (h *header) append(b []byte) []byte {
	b = binary.AppendUvarint(b, format)
	b = append(b, h.life[:]...)
	b = binary.AppendUvarint(b, h.number)
	b = append(b, byte(h.begin))
	b = binary.AppendVarint(b, h.wall)
	return appendText(b, h.version)
}

func parseHeader(payload []byte) (h header, err error) {
	d := decoder{b: payload}
	if v := d.uvarint(); d.err == nil && v != format {
		return h, fmt.Errorf("it has format %d, and this version reads format %d: use the version that wrote it", v, format)
	}
	copy(h.life[:], d.bytes(len(h.life)))
	h.number, h.begin, h.wall, h.version = d.uvarint(), Begin(d.byte()), d.varint(), d.text()
	if d.err == nil && (h.begin < BeginLife || h.begin > BeginGap) {
		d.err = errMalformed
	}
	return h, d.err
}

// begin reserves space for the length and appends the kind. seal completes the record; at is len(b) before open.
func begin(b []byte, kind byte) []byte { return append(b, 0, 0, kind) }

func seal(b []byte, at int) []byte {
	n := len(b) - at - pad
	if n < 1<<14 {
		b[at], b[at+1] = byte(n)|0x80, byte(n>>7)
	} else {
		var length [binary.MaxVarintLen64]byte
		size := binary.PutUvarint(length[:], uint64(n))
		b = append(b, length[:size-pad]...) // only to make b longer
		copy(b[at+size:], b[at+pad:at+pad+n])
		copy(b[at:], length[:size])
		at += size - pad
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at+pad:], castagnoli))
}

// frame is one complete record.
type frame struct {
	kind    byte
	payload []byte
}

// next reads the first record of b and returns its size. After an error, the rest of b cannot be read.
func next(b []byte) (f frame, size int, err error) {
	n, head := binary.Uvarint(b)
	switch {
	case head == 0 || n == 0 && blank(b):
		return f, 0, errTorn
	case head < 0 || n == 0:
		return f, 0, errors.New("the length of a record is invalid")
	case n > uint64(len(b)-head) || uint64(len(b)-head)-n < crc32.Size:
		return f, 0, errTorn
	}
	body := b[head : head+int(n)]
	size = head + int(n) + crc32.Size
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[head+int(n):]) {
		if blank(b[size-crc32.Size:]) {
			return f, 0, errTorn
		}
		return f, 0, errors.New("the checksum of a record is wrong")
	}
	return frame{kind: body[0], payload: body[1:]}, size, nil
}

// errTorn is the end of a file after a crash. After a power failure the file may also end in zeros.
var errTorn = errors.New("the file ends in the middle of a record")

// blank reports whether b contains only zeros.
func blank(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errMalformed = errors.New("a record is invalid although its checksum is right")

// decoder reads the values of a payload. After the first error it returns only zero values.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.b, d.err = nil, errMalformed
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail()
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	return string(d.bytes(int(n)))
}

// state holds the values to which differences are relative. Writer and reader keep the same, and start afresh in each segment.
type state struct {
	mono, wall int64
	ticket     uint64
	patience   int64
}

func startOf(now scaler.Time) state { return state{mono: int64(now.Mono), wall: now.Wall.UnixNano()} }

func (s *state) time() scaler.Time {
	return scaler.Time{Mono: time.Duration(s.mono), Wall: time.Unix(0, s.wall).UTC()}
}
