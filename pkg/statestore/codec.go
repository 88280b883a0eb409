package statestore

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"strconv"

	"github.com/taskscaler/taskscaler/pkg/record"
	"google.golang.org/protobuf/encoding/protowire"
)

// recordVersion is the version of the records that this release writes, and the newest version that it reads.
const recordVersion = 1

// kind is the kind of a record. The numbers are stored: only append new ones.
type kind byte

const (
	kindFormat kind = iota + 1
	kindGuard
	kindGroup
	kindInstance
	kindIntent
	kindSecret
	kindKey
)

// A record is version, kind, checksum (little endian), payload.
const headerSize = 6

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder appends records to one buffer. It is reused by the next commit, not earlier: bbolt needs the values until the transaction ends.
type encoder struct {
	buf  []byte
	keys []byte
	head [10]byte

	aead                 cipher.AEAD // encrypts payloads; nil: they are plain
	plain, opened, bound []byte      // its buffers
}

func (e *encoder) reset() { e.buf, e.keys = e.buf[:0], e.keys[:0] }

// sums computes two checksums of a record. The first is stored in the record; both together are its hash in the guard.
func (e *encoder) sums(version byte, k kind, key, payload []byte) (crc uint32, hash uint64) {
	e.head[0], e.head[1] = version, byte(k)
	binary.LittleEndian.PutUint64(e.head[2:], uint64(len(key)))
	crc, other := uint32(0), uint32(0)
	for _, part := range [...][]byte{e.head[:], key, payload} {
		crc = crc32.Update(crc, castagnoli, part)
		other = crc32.Update(other, crc32.IEEETable, part)
	}
	return crc, mix(uint64(crc)<<32 | uint64(other))
}

// mix spreads a hash over 64 bits, so that sums of hashes of similar records do not cancel out (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// begin starts a record and returns its offset in the buffer.
func (e *encoder) begin(k kind) int {
	e.buf = append(e.buf, recordVersion, byte(k), 0, 0, 0, 0)
	return len(e.buf) - headerSize
}

// seal completes the record that starts at start: it encrypts the payload if the file is encrypted, fills in the checksum, and returns the record and its hash.
func (e *encoder) seal(start int, key []byte) (record []byte, hash uint64) {
	if e.aead != nil && kind(e.buf[start+1]).sealed() {
		e.encrypt(start, key)
	}
	record = e.buf[start:len(e.buf):len(e.buf)]
	crc, hash := e.sums(record[0], kind(record[1]), key, record[headerSize:])
	binary.LittleEndian.PutUint32(record[2:], crc)
	return record, hash
}

// open checks a record and returns its payload and hash. The payload is part of the record, or valid until the next open.
func (e *encoder) open(k kind, key, record []byte) (payload []byte, hash uint64, err error) {
	if len(record) < headerSize {
		return nil, 0, damagef("the record of %s is truncated", describe(k, key))
	}
	payload = record[headerSize:]
	crc, hash := e.sums(record[0], kind(record[1]), key, payload)
	switch {
	case crc != binary.LittleEndian.Uint32(record[2:]):
		return nil, 0, damagef("the checksum of %s is wrong", describe(k, key))
	case record[0] > recordVersion:
		return nil, 0, &VersionError{What: "the record format of " + describe(k, key), Found: uint64(record[0]), Supported: recordVersion}
	case record[0] == 0 || kind(record[1]) != k:
		return nil, 0, damagef("the record of %s is of another kind", describe(k, key))
	}
	if e.aead != nil && k.sealed() {
		payload, err = e.decrypt(record[0], k, key, payload)
	}
	return payload, hash, err
}

// format returns the record that names the layout.
func (e *encoder) format(layout uint64) []byte {
	start := e.begin(kindFormat)
	e.buf = appendFixed(e.buf, 1, layout)
	record, _ := e.seal(start, keyFormat)
	return record
}

// maxPlainKey is the length of the longest ID that is used as a key itself. bbolt refuses keys over 32 KiB, and long keys waste pages.
const maxPlainKey = 1024

// instanceKey returns the key of an instance. The first byte is 0 before an ID, and 1 before the hash of a long ID, which is then stored in
// the record. The result is valid until the next reset.
func (e *encoder) instanceKey(id record.ID) []byte {
	start := len(e.keys)
	if len(id) <= maxPlainKey {
		e.keys = append(append(e.keys, 0), id...)
	} else {
		sum := sha256.Sum256([]byte(id))
		e.keys = append(append(e.keys, 1), sum[:]...)
	}
	return e.keys[start:len(e.keys):len(e.keys)]
}

// idOf returns the ID of a key. long is the ID in the record, if the key is only its hash.
func idOf(key []byte, long string) (record.ID, error) {
	switch {
	case len(key) > 0 && key[0] == 0 && long == "":
		return record.ID(key[1:]), nil
	case len(key) > 0 && key[0] == 1 && len(long) > maxPlainKey:
		if sum := sha256.Sum256([]byte(long)); bytes.Equal(key[1:], sum[:]) {
			return record.ID(long), nil
		}
	}
	return "", damagef("key %x does not belong to its record", key)
}

func (e *encoder) intentKey(op uint64) []byte {
	start := len(e.keys)
	e.keys = binary.BigEndian.AppendUint64(e.keys, op)
	return e.keys[start:len(e.keys):len(e.keys)]
}

func describe(k kind, key []byte) string {
	name := string(key)
	switch k {
	case kindInstance, kindSecret:
		if id, err := idOf(key, ""); err == nil {
			name = string(id)
		}
		if k == kindSecret {
			return "the secret of instance " + quote(name)
		}
		return "instance " + quote(name)
	case kindIntent:
		if len(key) == 8 {
			name = strconv.FormatUint(binary.BigEndian.Uint64(key), 10)
		}
		return "intent " + quote(name)
	}
	return "record " + quote(name)
}

// The fields of the payloads. Zero values are omitted. A field number never changes its meaning.

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func appendStamp(b []byte, num protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return appendFixed(b, num, uint64(v))
}

// appendFixed writes zero values too. Records with a fixed size use it directly.
func appendFixed(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), v)
}

func appendString[S ~string](b []byte, num protowire.Number, v S) []byte {
	if v == "" {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(len(v)))
	return append(b, v...)
}

func boolInt(v bool) int64 {
	if v {
		return 1
	}
	return 0
}
