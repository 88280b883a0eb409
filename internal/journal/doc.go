// Package journal records every event that a manager's core receives, with its time, in the order in which the core stepped it. A fresh
// core can be replayed from the record, to see and explain every decision again. The record is a bounded set of files.
//
// # Files
//
// A journal is a directory (mode 0700) of segments (mode 0600). A segment's name is its number in 16 hexadecimal digits and ".tsj". Numbers
// ascend and are never reused. A segment is
//
//	"TSJRNL\r\n" (8 bytes)  record…
//
// and a record is
//
//	length  uvarint, of kind and payload; it may be padded (0x85 0x00 means 5)
//	kind    1 byte
//	payload length−1 bytes
//	crc     4 bytes, little-endian: CRC-32C (Castagnoli) of kind and payload
//
// Varints are those of encoding/binary: uvarint is unsigned, varint is zigzag. A text is its length in bytes (uvarint), followed by the
// bytes.
//
// # Records
//
// The first record of a segment is its header, the second a snapshot. Then follow rounds. A segment that was closed ends with a mark.
//
//	1 header    format uvarint (this text describes 1) · life 16 bytes · number uvarint · begin 1 byte (1 the manager started, 2 continues
//	            the segment before, 3 follows a gap) · wall varint, Unix nanoseconds of the snapshot · version text, of the build
//	2 snapshot  raw DEFLATE (RFC 1951) of the encoding/gob stream of one scaler.Snapshot
//	3 round     check 4 bytes · mono varint · wall varint · n uvarint · n events
//	4 mark      what 1 byte (1 the segment is full and continues in the next, 2 the manager closed the journal) · check 4 bytes
//
// A round is one group of events that were stepped at the same time, and whose batch was taken once. mono is the number of nanoseconds
// since the previous round (for the first round: since the snapshot). wall is by how many nanoseconds more than mono the wall clock
// advanced. check is a hash of the previous round's batch (0 for the first round). With it a replay notices that it decides differently:
// see Check.
//
// An event is its kind (1 byte, scaler.EventKind), a uvarint of bits, and a value for each bit that is set, starting with the lowest:
//
//	0 key       text
//	1 ticket    varint, difference from the previous ticket in the segment (0 before the first)
//	2 deadline  varint, nanoseconds after the round's time, minus the previous such number in the segment
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
// A field whose bit is not set is zero. A reader treats an unknown bit or an unknown kind of record as damage.
//
// # Loss
//
// The journal is not synced. When the process dies, at most the last second is lost; when the machine dies, also what its kernel had not
// written yet. A file that ends in the middle of a record is torn: this is how a crash looks, and it is not an error. When the disk is full
// or slow, the writer drops what it cannot write, warns once, and starts a new segment after the gap when writing works again. The manager
// never waits for the journal. The oldest segments are removed when the total size exceeds its limit.
//
// The journal contains no secrets: events and snapshots carry no connect info and no credentials (a type check in internal/test/archtest
// verifies this).
package journal
