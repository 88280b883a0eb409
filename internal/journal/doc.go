// Package journal keeps what a manager was told, so that what it decided can be had again: every event with its time, in the order in
// which the core stepped it, in a bounded set of files that a fresh core can be replayed from.
//
// # Files
//
// A journal is a directory (mode 0700) of segments (mode 0600) named by their number, 16 hexadecimal digits, and ".tsj". Numbers ascend and
// are never used twice. A segment is
//
//	"TSJRNL\r\n" (8 bytes)  record…
//
// and a record is
//
//	length  uvarint, of kind and payload; it may be padded (0x85 0x00 is 5)
//	kind    1 byte
//	payload length−1 bytes
//	crc     4 bytes, little-endian: CRC-32C (Castagnoli) of kind and payload
//
// Varints are those of encoding/binary: uvarint unsigned, varint zigzag. A text is its length in bytes (uvarint) and the bytes.
//
// # Records
//
// The first record of a segment is its header, the second a snapshot; then come rounds, and at the end of one that was closed a mark.
//
//	1 header    format uvarint (this text describes 1) · life 16 bytes · number uvarint · begin 1 byte (1 a new life of the manager, 2 goes
//	            on where the segment before ends, 3 after a gap) · wall varint, Unix nanoseconds of the snapshot · version text, of the build
//	2 snapshot  raw DEFLATE (RFC 1951) of the encoding/gob stream of one scaler.Snapshot
//	3 round     check 4 bytes · mono varint · wall varint · n uvarint · n events
//	4 mark      what 1 byte (1 the segment is full and the next goes on, 2 the manager closed the journal) · check 4 bytes
//
// A round is one group of events that was stepped at one moment, and whose batch was taken once. mono is the nanoseconds since the round
// before it (the snapshot, for the first); wall is how many nanoseconds more than mono the wall clock went on. check is a hash of the batch
// of the round before it (0 for the first), by which a replay notices that it decides otherwise: see Check.
//
// An event is its kind (1 byte, scaler.EventKind), a uvarint of bits, and for each bit that is set, from the lowest, a value:
//
//	0 key       text
//	1 ticket    varint, difference to the last ticket in the segment (0 before the first)
//	2 deadline  varint, nanoseconds after the round's time, less the last such number in the segment
//	3 id        text
//	4 op        uvarint
//	5 serial    uvarint
//	6 cause     1 byte
//	7 listed    1 byte
//	8 count     varint
//	9 since     varint, nanoseconds after the round's time
//	10 failure  kind 1 byte · retry after varint, nanoseconds · message text, at most 512 bytes of valid UTF-8
//	11 config   text: the encoding/gob stream of a scaler.Config
//	12 on       nothing
//	13 away     nothing
//
// A field whose bit is not set is zero. A reader that meets an unknown bit or kind of record treats it as damage.
//
// # Loss
//
// The journal is not synced: a process that dies loses at most the last second, a machine that dies what its kernel had not written. A tail
// that ends in the middle of a record is torn, which is how a crash looks, and no fault. When the disk is full or slow the writer drops what
// it cannot write, warns once, and begins a new segment behind a gap when writing works again; the manager never waits for it. The oldest
// segments are removed when all together exceed their bound.
//
// Nothing secret is in it: events and snapshots carry no connect info and no credentials (a type check in internal/test/archtest).
package journal
