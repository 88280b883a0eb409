package statestore

import (
	"fmt"
	"math"
	"strconv"

	"github.com/taskscaler/taskscaler/pkg/record"
	"google.golang.org/protobuf/encoding/protowire"
)

func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}

func appendInstance(b []byte, r *record.Instance) []byte {
	if len(r.ID) > maxPlainKey {
		b = appendString(b, 1, r.ID)
	}
	b = appendInt(b, 2, int64(r.Serial))
	b = appendInt(b, 3, int64(r.State))
	b = appendInt(b, 4, int64(r.Origin))
	b = appendInt(b, 5, int64(r.Uses))
	b = appendStamp(b, 6, r.CreatedAt)
	b = appendStamp(b, 7, r.StateAt)
	b = appendStamp(b, 8, r.ReadyAt)
	b = appendStamp(b, 9, r.IdleAt)
	b = appendInt(b, 10, int64(r.Cause))
	b = appendInt(b, 11, boolInt(r.DeleteAsked))
	for i := range r.Leases {
		b = appendLease(b, 12, &r.Leases[i])
	}
	return b
}

func appendLease(b []byte, num protowire.Number, l *record.Lease) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	size := 0
	if l.Key != "" {
		size += 1 + protowire.SizeBytes(len(l.Key))
	}
	if l.Slot != 0 {
		size += 1 + protowire.SizeVarint(uint64(l.Slot))
	}
	if l.At != 0 {
		size += 1 + 8
	}
	if l.Use != 0 {
		size += 1 + protowire.SizeVarint(uint64(l.Use))
	}
	b = protowire.AppendVarint(b, uint64(size))
	b = appendString(b, 1, l.Key)
	b = appendInt(b, 2, int64(l.Slot))
	b = appendStamp(b, 3, l.At)
	return appendInt(b, 4, int64(l.Use))
}

func decodeInstance(payload []byte, r *record.Instance) error {
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			r.ID = record.ID(f.bytes())
		case 2:
			r.Serial = f.uint()
		case 3:
			r.State = record.State(f.uint8())
		case 4:
			r.Origin = record.Origin(f.uint8())
		case 5:
			r.Uses = f.int()
		case 6:
			r.CreatedAt = f.stamp()
		case 7:
			r.StateAt = f.stamp()
		case 8:
			r.ReadyAt = f.stamp()
		case 9:
			r.IdleAt = f.stamp()
		case 10:
			r.Cause = record.Cause(f.uint8())
		case 11:
			r.DeleteAsked = f.bool()
		case 12:
			l, err := decodeLease(f.bytes())
			f.fail(err)
			r.Leases = append(r.Leases, l)
		default:
			f.skip()
		}
	}
	if f.err == nil && !knownState(r.State) {
		return &VersionError{What: "the state of instance " + quote(string(r.ID)), Found: uint64(r.State), Supported: uint64(record.Unclaimed)}
	}
	return f.err
}

func decodeLease(payload []byte) (l record.Lease, err error) {
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			l.Key = record.Key(f.bytes())
		case 2:
			l.Slot = f.int()
		case 3:
			l.At = f.stamp()
		case 4:
			l.Use = f.int()
		default:
			f.skip()
		}
	}
	return l, f.err
}

func appendIntent(b []byte, r *record.Intent) []byte {
	b = appendInt(b, 1, int64(r.Asked))
	b = appendInt(b, 2, int64(r.Open))
	b = appendInt(b, 3, int64(r.Doubt))
	b = appendInt(b, 4, int64(r.Faded))
	b = appendStamp(b, 5, r.At)
	return appendInt(b, 6, boolInt(r.Answered))
}

func decodeIntent(payload []byte, r *record.Intent) error {
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			r.Asked = f.int()
		case 2:
			r.Open = f.int()
		case 3:
			r.Doubt = f.int()
		case 4:
			r.Faded = f.int()
		case 5:
			r.At = f.stamp()
		case 6:
			r.Answered = f.bool()
		default:
			f.skip()
		}
	}
	return f.err
}

func appendGroup(b []byte, r *record.Meta) []byte {
	b = appendString(b, 1, r.Group)
	b = appendInt(b, 2, int64(r.LastSerial))
	b = appendInt(b, 3, int64(r.LastOp))
	b = appendStamp(b, 4, int64(math.Float64bits(r.ThrottleTokens)))
	b = appendStamp(b, 5, r.ThrottleAt)
	b = appendInt(b, 6, int64(r.Fruitless))
	b = appendInt(b, 7, int64(r.Refusals))
	b = appendStamp(b, 8, r.BackoffUntil)
	b = appendInt(b, 9, int64(r.BackoffCause))
	b = appendInt(b, 10, int64(r.DiedYoung))
	b = appendInt(b, 11, int64(r.Trials))
	b = appendStamp(b, 12, r.YoungSince)
	return appendString(b, 13, r.Latest)
}

func decodeGroup(payload []byte, r *record.Meta) error {
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			r.Group = string(f.bytes())
		case 2:
			r.LastSerial = f.uint()
		case 3:
			r.LastOp = f.uint()
		case 4:
			r.ThrottleTokens = math.Float64frombits(uint64(f.stamp()))
		case 5:
			r.ThrottleAt = f.stamp()
		case 6:
			r.Fruitless = f.int()
		case 7:
			r.Refusals = f.int()
		case 8:
			r.BackoffUntil = f.stamp()
		case 9:
			r.BackoffCause = record.Cause(f.uint8())
		case 10:
			r.DiedYoung = f.int()
		case 11:
			r.Trials = f.int()
		case 12:
			r.YoungSince = f.stamp()
		case 13:
			r.Latest = string(f.bytes())
		default:
			f.skip()
		}
	}
	return f.err
}

// The payload of a secret is the value, and the ID if the key is only its hash.
func appendSecret(b []byte, s *Secret) []byte {
	if len(s.ID) > maxPlainKey {
		b = appendString(b, 1, s.ID)
	}
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendBytes(b, s.Value)
}

func decodeSecret(payload []byte) (long string, value []byte, err error) {
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			long = string(f.bytes())
		case 2:
			value = append([]byte(nil), f.bytes()...)
		default:
			f.skip()
		}
	}
	return long, value, f.err
}

// fields reads a payload field by field. After the first error, next returns false.
type fields struct {
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	err  error
}

func (f *fields) next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		f.fail(protowire.ParseError(n))
		return false
	}
	f.num, f.typ, f.rest = num, typ, f.rest[n:]
	return true
}

func (f *fields) fail(err error) {
	if f.err == nil && err != nil {
		f.err = damagef("field %d: %v", f.num, err)
	}
}

// take advances by n bytes. It fails if n is an error code of protowire.
func (f *fields) take(n int) bool {
	if n < 0 {
		f.fail(protowire.ParseError(n))
		return false
	}
	f.rest = f.rest[n:]
	return true
}

func (f *fields) want(typ protowire.Type) bool {
	if f.err == nil && f.typ != typ {
		f.fail(fmt.Errorf("wire type %d instead of %d", f.typ, typ))
	}
	return f.err == nil
}

func (f *fields) uint() uint64 {
	if !f.want(protowire.VarintType) {
		return 0
	}
	v, n := protowire.ConsumeVarint(f.rest)
	if !f.take(n) {
		return 0
	}
	return v
}

func (f *fields) uint8() uint8 {
	v := f.uint()
	if v > math.MaxUint8 {
		f.fail(fmt.Errorf("%d is out of range", v))
		return 0
	}
	return uint8(v)
}

func (f *fields) int() int {
	v := int64(f.uint())
	if int64(int(v)) != v {
		f.fail(fmt.Errorf("%d is out of range", v))
		return 0
	}
	return int(v)
}

func (f *fields) bool() bool { return f.uint() != 0 }

func (f *fields) stamp() int64 { return int64(f.fixed()) }

func (f *fields) fixed() uint64 {
	if !f.want(protowire.Fixed64Type) {
		return 0
	}
	v, n := protowire.ConsumeFixed64(f.rest)
	if !f.take(n) {
		return 0
	}
	return v
}

func (f *fields) bytes() []byte {
	if !f.want(protowire.BytesType) {
		return nil
	}
	v, n := protowire.ConsumeBytes(f.rest)
	if !f.take(n) {
		return nil
	}
	return v
}

func (f *fields) skip() { f.take(protowire.ConsumeFieldValue(f.num, f.typ, f.rest)) }

// stateOf decodes only the state of an instance.
func stateOf(payload []byte) (s record.State, err error) {
	f := fields{rest: payload}
	for f.next() {
		if f.num == 3 {
			s = record.State(f.uint8())
		} else {
			f.skip()
		}
	}
	return s, f.err
}
