package journal

import (
	"bytes"
	"encoding/gob"
	"runtime"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
)

// snapshotBudget is how much memory one small damaged snapshot may use, beyond that of a good one. gob allows one value of a gigabyte; we do not.
const snapshotBudget = 64 << 20

// FuzzSnapshot: of the unpacked bytes of a snapshot, decode and Resume make an error or a core that works. They do not panic, end soon, and use memory in
// proportion to the input. A core that was made takes a snapshot that is accepted again, and it decides further events without a refused move of its own
// register: what Resume accepts is consistent.
func FuzzSnapshot(f *testing.F) {
	for _, c := range realCores(f) {
		s := c.Snapshot()
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(&s); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()/2])
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > 64<<10 {
			t.Skip("the size of real snapshots of a few instances is enough")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := readSnapshot(bytes.NewReader(plain))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > snapshotBudget {
			t.Fatalf("%d bytes of a snapshot used %d bytes of memory", len(plain), used)
		}
		if err != nil {
			if s != nil {
				t.Fatal("an error and a snapshot")
			}
			return
		}
		c, err := scaler.Resume(s)
		if err != nil {
			if c != nil {
				t.Fatal("an error and a core")
			}
			return
		}
		useCore(t, c, s.Now)
	})
}

// useCore takes a resumed core through a few turns of its life.
func useCore(t *testing.T, c *scaler.Core, now scaler.Time) {
	again := c.Snapshot()
	if _, err := scaler.Resume(&again); err != nil {
		t.Fatalf("the snapshot of a resumed core is refused: %v", err)
	}
	for n, ev := range []scaler.Event{
		{Kind: scaler.EvWake}, {Kind: scaler.EvAcquire, Key: "a new key", Ticket: 1 << 40, Deadline: now.Mono + time.Hour},
		{Kind: scaler.EvAppeared, ID: "a new instance", Listed: fleet.ListedRunning}, {Kind: scaler.EvWake}, {Kind: scaler.EvCancel, Key: "a new key", Ticket: 1 << 40},
		{Kind: scaler.EvWake},
	} {
		now.Mono += time.Minute
		now.Wall = now.Wall.Add(time.Minute)
		c.Step(now, ev)
		b := c.Take()
		if b.Bug != nil {
			t.Fatalf("event %d: %v", n, b.Bug)
		}
		if len(b.Commands) > 10_000 || len(b.Facts) > 100_000 {
			t.Fatalf("event %d makes %d commands and %d facts", n, len(b.Commands), len(b.Facts))
		}
	}
	if err := c.Check(); err != nil {
		t.Fatalf("the register of a resumed core: %v", err)
	}
}

// realCores returns cores in different moments of their lives.
func realCores(t testing.TB) (all []*scaler.Core) {
	t.Helper()
	for _, rounds := range []int{0, 5, 40, 120} {
		d := drive(t, t.TempDir(), uint64(rounds), Options{})
		for range rounds {
			d.round(1 + d.r.IntN(3))
		}
		all = append(all, d.core)
	}
	return all
}
