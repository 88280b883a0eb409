package statestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
	"google.golang.org/protobuf/encoding/protowire"
)

func fullInstance() record.Instance {
	return record.Instance{
		ID: "i-1", Serial: 2, State: record.Draining, Origin: record.Adopted, Uses: 5, CreatedAt: 6, StateAt: 7, ReadyAt: 8, IdleAt: 9,
		Cause: record.CauseUsedUp, DeleteAsked: true, Leases: []record.Lease{{Key: "k", Slot: 3, At: 4, Use: 5}, {}},
	}
}

// TestEveryFieldIsKept fails if a record has a field that the codec does not know.
func TestEveryFieldIsKept(t *testing.T) {
	instance := fullInstance()
	intent := record.Intent{Op: 1, Asked: 2, Open: 3, Doubt: 4, Faded: 5, At: 6, Answered: true}
	group := record.Meta{Group: "g", LastSerial: 1, LastOp: 2, ThrottleTokens: 0.5, ThrottleAt: 4, Fruitless: 5, Refusals: 6, BackoffUntil: 7,
		BackoffCause: record.CauseQuota, DiedYoung: 8, Trials: 9, YoungSince: 10, Latest: "no quota"}
	for _, v := range []any{instance, instance.Leases[0], intent, group} {
		for i := range reflect.TypeOf(v).NumField() {
			if reflect.ValueOf(v).Field(i).IsZero() {
				t.Errorf("%T.%s is not tested here", v, reflect.TypeOf(v).Field(i).Name)
			}
		}
	}
	gotInstance, gotIntent, gotGroup := record.Instance{ID: "i-1"}, record.Intent{Op: 1}, record.Meta{}
	err := errors.Join(decodeInstance(appendInstance(nil, &instance), &gotInstance), decodeIntent(appendIntent(nil, &intent), &gotIntent),
		decodeGroup(appendGroup(nil, &group), &gotGroup))
	if err != nil || !reflect.DeepEqual(gotInstance, instance) || gotIntent != intent || gotGroup != group {
		t.Errorf("%v: %+v, %+v, %+v", err, gotInstance, gotIntent, gotGroup)
	}
}

// TestUnknownFieldsAreSkipped loads a record with fields that a later release added within the same version.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	instance := fullInstance()
	b := protowire.AppendTag(nil, 99, protowire.BytesType)
	b = protowire.AppendString(b, "new")
	b = appendInstance(b, &instance)
	b = appendFixed(b, 100, 7)
	b = appendInt(b, 101, 7)
	b = protowire.AppendFixed32(protowire.AppendTag(b, 102, protowire.Fixed32Type), 7)
	got := record.Instance{ID: "i-1"}
	if err := decodeInstance(b, &got); err != nil || !reflect.DeepEqual(got, instance) {
		t.Errorf("%v: %+v", err, got)
	}
	if err := new(guard).decode(appendFixed(new(guard).append(nil), 77, 1)); err != nil {
		t.Error(err)
	}
}

func TestBadPayloads(t *testing.T) {
	cases := map[string][]byte{
		"a string for a number": appendString[string](nil, 3, "ready"),
		"a number for a string": appendInt(nil, 12, 5),
		"a state of 9 bits":     appendInt(nil, 3, 256),
		"cut off in a tag":      {0x80},
		"cut off in a number":   {2 << 3, 0x80},
		"cut off in a string":   {12<<3 | 2, 5, 1},
		"field 0":               {0, 1},
		"no state":              appendInt(nil, 2, 1),
	}
	for name, payload := range cases {
		if err := decodeInstance(payload, new(record.Instance)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRecordsDoNotMove moves a record to another key, kind or version: its checksum is then wrong.
func TestRecordsDoNotMove(t *testing.T) {
	enc := new(encoder)
	instance := fullInstance()
	key := enc.instanceKey("i-1")
	start := enc.begin(kindInstance)
	enc.buf = appendInstance(enc.buf, &instance)
	record, hash := enc.seal(start, key)
	if _, again, err := enc.open(kindInstance, key, record); err != nil || again != hash {
		t.Fatal(err)
	}
	for name, open := range map[string]func() error{
		"another key":    func() error { _, _, err := enc.open(kindInstance, enc.instanceKey("i-2"), record); return err },
		"a shifted key":  func() error { _, _, err := enc.open(kindInstance, key[:2], append([]byte(nil), record...)); return err },
		"another kind":   func() error { _, _, err := enc.open(kindSecret, key, record); return err },
		"half a record":  func() error { _, _, err := enc.open(kindInstance, key, record[:len(record)/2]); return err },
		"half a header":  func() error { _, _, err := enc.open(kindInstance, key, record[:3]); return err },
		"nothing at all": func() error { _, _, err := enc.open(kindInstance, key, nil); return err },
	} {
		var d damage
		if err := open(); !errors.As(err, &d) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for bit := range len(record) * 8 {
		flipped := append([]byte(nil), record...)
		flipped[bit/8] ^= 1 << (bit % 8)
		var d damage
		if _, _, err := enc.open(kindInstance, key, flipped); !errors.As(err, &d) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}

// TestGuardBytesAreEqual: the guard has the same size for any fleet.
func TestGuardBytesAreEqual(t *testing.T) {
	var g guard
	empty := len(g.append(nil))
	g.seq = math.MaxUint64
	for _, k := range guarded {
		g.kinds[k] = tally{math.MaxUint64, uint64(k)}
	}
	full := g.append(nil)
	var back guard
	if err := back.decode(full); err != nil || back != g || len(full) != empty {
		t.Errorf("%d and %d bytes, %v, %+v", empty, len(full), err, back)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	enc, instance, secret := new(encoder), fullInstance(), Secret{ID: "i-1", Value: []byte("value")}
	write := func() {
		enc.reset()
		key, start := enc.instanceKey(instance.ID), enc.begin(kindInstance)
		enc.buf = appendInstance(enc.buf, &instance)
		enc.seal(start, key)
		start = enc.begin(kindSecret)
		enc.buf = appendSecret(enc.buf, &secret)
		enc.seal(start, key)
	}
	write()
	if n := testing.AllocsPerRun(100, write); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeysAreDistinct(t *testing.T) {
	enc, seen := new(encoder), make(map[string]record.ID)
	long := strings.Repeat("x", maxPlainKey)
	for _, id := range []record.ID{"", "\x00", "\x01", "a", "\x00a", record.ID(long), record.ID(long + "x"), record.ID(long + "y")} {
		key := string(enc.instanceKey(id))
		if other, taken := seen[key]; taken {
			t.Errorf("%q and %q share key %x", id, other, key)
		}
		seen[key] = id
		stored := ""
		if len(id) > maxPlainKey {
			stored = string(id)
		}
		if back, err := idOf([]byte(key), stored); err != nil || back != id {
			t.Errorf("%q comes back as %q, %v", id, back, err)
		}
		if _, err := idOf([]byte(key), stored+"z"); err == nil {
			t.Errorf("%q takes another's record", id)
		}
	}
}

// FuzzRecords decodes any payload as any kind. What can be decoded must be equal after it is encoded and decoded again.
func FuzzRecords(f *testing.F) {
	instance := fullInstance()
	f.Add(byte(kindInstance), appendInstance(nil, &instance))
	f.Add(byte(kindIntent), appendIntent(nil, &record.Intent{Asked: 1, Open: -1, Answered: true}))
	f.Add(byte(kindGroup), appendGroup(nil, &record.Meta{Group: "g", ThrottleTokens: 2.5}))
	f.Add(byte(kindSecret), appendSecret(nil, &Secret{ID: "i", Value: []byte("v")}))
	f.Add(byte(kindGuard), new(guard).append(nil))
	f.Add(byte(kindKey), appendKey(nil, []byte("wrapped")))
	f.Fuzz(func(t *testing.T, k byte, payload []byte) {
		switch kind(k) {
		case kindInstance:
			var a, b record.Instance
			if decodeInstance(payload, &a) == nil {
				if len(a.ID) <= maxPlainKey {
					a.ID = ""
				}
				same(t, a, decodeInstance(appendInstance(nil, &a), &b), func() any { return b })
			}
		case kindIntent:
			var a, b record.Intent
			if decodeIntent(payload, &a) == nil {
				same(t, a, decodeIntent(appendIntent(nil, &a), &b), func() any { return b })
			}
		case kindGroup:
			var a, b record.Meta
			if decodeGroup(payload, &a) == nil {
				same(t, a, decodeGroup(appendGroup(nil, &a), &b), func() any { return b })
			}
		case kindSecret:
			if long, value, err := decodeSecret(payload); err == nil && len(long) > maxPlainKey {
				again, back, err := decodeSecret(appendSecret(nil, &Secret{ID: record.ID(long), Value: value}))
				if err != nil || again != long || string(back) != string(value) {
					t.Errorf("%v: %q, %q", err, again, back)
				}
			}
		case kindGuard:
			var a, b guard
			if a.decode(payload) == nil {
				same(t, a, b.decode(a.append(nil)), func() any { return b })
			}
		case kindKey:
			if a, err := decodeKey(payload); err == nil {
				b, err := decodeKey(appendKey(nil, a))
				same(t, a, err, func() any { return b })
			}
		default:
			_, _, _ = new(encoder).open(kind(k), binary.AppendUvarint(nil, uint64(k)), payload)
		}
	})
}

// same compares the texts, because NaN is not equal to itself.
func same(t *testing.T, a any, err error, b func() any) {
	t.Helper()
	if want, have := fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b()); err != nil || want != have {
		t.Errorf("%v: %s, %s", err, want, have)
	}
}
