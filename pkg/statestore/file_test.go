package statestore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"hash/fnv"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
	bolt "go.etcd.io/bbolt"
)

var writeFirst = flag.Bool("write-first-release", false, "write testdata/state-v1.db anew: only before the first release is out")

const firstFile = "testdata/state-v1.db"

// firstRelease returns the three commits of the first release's file.
func firstRelease() []statestore.Commit {
	at := int64(1_795_435_200_000_000_000) // 2026-11-23 12:00 UTC
	return []statestore.Commit{
		{Changes: &record.Changes{
			Put: []record.Instance{
				{ID: "i-gone", Serial: 1, State: record.Ready, Origin: record.Created},
				{ID: "i-dropped", Serial: 2, State: record.Lost},
			},
			PutIntents: []record.Intent{{Op: 1, Asked: 5, Open: 5, At: at}},
		}, Secrets: []statestore.Secret{{ID: "i-gone", Value: []byte("gone")}, {ID: "i-dropped", Value: []byte("dropped")}}},
		{Changes: &record.Changes{
			Put: []record.Instance{
				{ID: "i-0abc", Serial: 3, State: record.Ready, Origin: record.Created, Uses: 7, CreatedAt: at, StateAt: at + 1, ReadyAt: at + 2, IdleAt: at + 3,
					Leases: []record.Lease{{Key: "job-1", Slot: 2, At: at + 4}, {Key: "задание-2", Slot: 5, At: at + 5}}},
				{ID: "i-deleting", Serial: 4, State: record.Deleting, Origin: record.Adopted, Cause: record.CauseUsedUp, DeleteAsked: true},
				{ID: "projects/p/zones/z/instances/m", Serial: 5, State: record.Unclaimed, Origin: record.Preexisting, StateAt: at},
				{ID: record.ID(bytes.Repeat([]byte("long"), 400)), Serial: 6, State: record.Preparing, Origin: record.Created},
			},
			PutIntents: []record.Intent{{Op: 9, Asked: 8, Open: 1, Doubt: 2, Faded: 3, At: at, Answered: true}, {Op: math.MaxUint64, Asked: 1}},
			Meta: &record.Meta{Group: "fake/first", LastSerial: 6, LastOp: 9, ThrottleTokens: 12.75, ThrottleAt: at, Fruitless: 3, Refusals: 4,
				BackoffUntil: at + 6, BackoffCause: record.CauseStockOut, DiedYoung: 2, Trials: 1, YoungSince: at + 7},
		}, Secrets: []statestore.Secret{{ID: "i-0abc", Value: []byte(`{"password":"x"}`)}, {ID: "i-deleting", Value: bytes.Repeat([]byte{0, 255}, 1500)}}},
		{Changes: &record.Changes{
			Put:  []record.Instance{{ID: "i-gone", Serial: 1, State: record.Gone, Cause: record.CauseIdle}},
			Drop: []record.ID{"i-dropped"}, DropIntents: []uint64{1},
		}},
	}
}

// TestFirstRelease loads the file that the first release wrote, and commits to it. Every later release must be able to do so.
func TestFirstRelease(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("bbolt's files have the machine's byte order, and this one's is little endian")
	}
	var m storetest.Model
	for _, c := range firstRelease() {
		m.Apply(c)
	}
	everyField(t, &m)
	if *writeFirst {
		writeFirstRelease(t)
	}
	image, err := os.ReadFile(firstFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/group"
	makeDir(t, dir, 0o700)
	if err := os.WriteFile(dir+"/state.db", image, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range storetest.Sample(3, 11) {
		b := openBolt(t, dir)
		loaded, err := b.Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d := m.Differs(loaded); d != "" {
			t.Fatal(d)
		}
		commit(t, b, c)
		m.Apply(c)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func writeFirstRelease(t *testing.T) {
	t.Helper()
	dir := t.TempDir() + "/group"
	b := openBolt(t, dir)
	for _, c := range firstRelease() {
		commit(t, b, c)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(dir + "/state.db")
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize() // behind the last page is space to grow
	end := (len(bytes.TrimRight(image, "\x00"))/page + 2) * page
	if err := os.WriteFile(firstFile, image[:end], 0o644); err != nil {
		t.Fatal(err)
	}
}

// later are the fields that later releases added. In the first release's file they are missing, and load as zero.
var later = []string{"Lease.Use", "Meta.Latest"}

// everyField fails if a field is zero in every record, because the test does not compare it then.
func everyField(t *testing.T, m *storetest.Model) {
	t.Helper()
	var instances, leases, intents []any
	for _, r := range m.State.Instances {
		instances = append(instances, r)
		for _, l := range r.Leases {
			leases = append(leases, l)
		}
	}
	for _, r := range m.State.Intents {
		intents = append(intents, r)
	}
	for _, records := range [][]any{instances, leases, intents, {m.State.Meta}} {
		typ := reflect.TypeOf(records[0])
		for i := range typ.NumField() {
			set := false
			for _, r := range records {
				set = set || !reflect.ValueOf(r).Field(i).IsZero()
			}
			if !set && !slices.Contains(later, typ.Name()+"."+typ.Field(i).Name) {
				t.Errorf("%s.%s is zero in every record of the first release's file", typ, typ.Field(i).Name)
			}
		}
	}
}

// FuzzFile overwrites any part of a file with any bytes.
func FuzzFile(f *testing.F) {
	image, err := os.ReadFile(firstFile)
	if err != nil {
		f.Fatal(err)
	}
	var m storetest.Model
	for _, c := range firstRelease() {
		m.Apply(c)
	}
	f.Add(uint32(0), []byte{}, uint32(0))
	f.Add(uint32(16), []byte{1, 2, 3}, uint32(0))
	f.Add(uint32(12_300), []byte{0xff, 0xff, 0xff, 0xff}, uint32(1))
	f.Add(uint32(20_488), []byte{1, 0, 1, 0}, uint32(100))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, cut uint32) {
		damaged := bytes.Clone(image[:len(image)-min(int(cut), len(image))])
		if len(damaged) > 0 {
			copy(damaged[int(at)%len(damaged):], patch)
		}
		dir := t.TempDir() + "/group"
		makeDir(t, dir, 0o700)
		if err := os.WriteFile(dir+"/state.db", damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var loaded statestore.Snapshot
		b, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
		if err == nil {
			defer b.Close()
			loaded, err = b.Load(context.Background())
		}
		var corrupt *statestore.CorruptError
		var version *statestore.VersionError
		switch {
		case errors.As(err, &corrupt), errors.As(err, &version):
		case err != nil:
			t.Errorf("neither damaged nor newer: %v", err)
		case m.Differs(loaded) != "":
			t.Error(m.Differs(loaded))
		}
	})
}

// FuzzVerify verifies any bytes. It corrects the checksums of the meta pages, so that verify gets beyond them.
func FuzzVerify(f *testing.F) {
	const page = 1024
	name := f.TempDir() + "/small.db"
	db, err := bolt.Open(name, 0o600, &bolt.Options{PageSize: page})
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucket([]byte("b"))
		if err != nil {
			return err
		}
		for i := range byte(12) {
			err = errors.Join(err, bucket.Put([]byte{i}, make([]byte, 200)))
		}
		return err
	}), db.Close()); err != nil {
		f.Fatal(err)
	}
	image, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	image = image[:min(len(image), 16*page)]
	if err := statestore.Verify(bytes.NewReader(image), int64(len(image))); err != nil {
		f.Fatalf("the seed is damaged: %v", err)
	}
	f.Add(image)
	f.Add(image[:3*page])
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, data []byte) {
		data = bytes.Clone(data)
		for at := 16; at <= 16+page && at+64 <= len(data); at += page {
			hash := fnv.New64a()
			_, _ = hash.Write(data[at : at+56])
			binary.NativeEndian.PutUint64(data[at+56:], hash.Sum64())
		}
		_ = statestore.Verify(bytes.NewReader(data), int64(len(data)))
	})
}
