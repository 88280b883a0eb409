//go:build linux

package statestore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const (
	benchFleet = 10_000
	benchBatch = 256 // acquires and releases that are committed together
)

// benchCommits returns the commits of a busy manager: leases that begin and end on random instances.
func benchCommits(n int) []statestore.Commit {
	rng := rand.New(rand.NewPCG(1, 1))
	all := storetest.Bulk(benchFleet).Changes.Put
	commits := make([]statestore.Commit, n)
	for i := range commits {
		c := &record.Changes{Meta: &record.Meta{Group: "bench", LastOp: uint64(i)}}
		for _, k := range rng.Perm(benchFleet)[:benchBatch] {
			rec := all[k]
			rec.Uses, rec.IdleAt = i, int64(i)
			rec.Leases = []record.Lease{{Key: record.Key(fmt.Sprintf("job %d", rng.Uint32())), Slot: rng.IntN(8), At: int64(i)}}
			c.Put = append(c.Put, rec)
		}
		commits[i] = statestore.Commit{Changes: c}
	}
	return commits
}

// fdatasyncTime returns the median time to make 4 KiB durable in a directory.
func fdatasyncTime(b *testing.B, dir string) time.Duration {
	b.Helper()
	f, err := os.Create(dir + "/sync")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	times, page := make([]time.Duration, 100), make([]byte, 4096)
	for i := range times {
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func report(b *testing.B, dir string) {
	b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(fdatasyncTime(b, dir).Nanoseconds()), "fdatasync-ns")
}

// BenchmarkGroupCommit commits 256 changes in one durable transaction, over 10,000 instances.
func BenchmarkGroupCommit(b *testing.B) {
	commits := benchCommits(50)
	b.Run("bolt", func(b *testing.B) {
		dir := b.TempDir() + "/group"
		store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		benchmark(b, store, commits)
		report(b, dir)
	})
	b.Run("encrypted bolt", func(b *testing.B) {
		dir := b.TempDir() + "/group"
		store, err := statestore.OpenBolt(dir, statestore.BoltOptions{Keyring: statestore.PlainRing})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		benchmark(b, store, commits)
		report(b, dir)
	})
	b.Run("memory", func(b *testing.B) {
		benchmark(b, statestore.NewMemory(), commits)
		b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "changes/s")
	})
	b.Run("bare bbolt", func(b *testing.B) { benchmarkBare(b, commits) })
}

func benchmark(b *testing.B, store statestore.Store, commits []statestore.Commit) {
	b.Helper()
	ctx := context.Background()
	if err := store.Commit(ctx, storetest.Bulk(benchFleet)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := store.Commit(ctx, commits[i%len(commits)]); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkBare is the reference: it puts the same keys and as many bytes into a bucket, without reading, checking or counting anything.
func benchmarkBare(b *testing.B, commits []statestore.Commit) {
	dir := b.TempDir()
	db, err := bolt.Open(dir+"/bare.db", 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, InitialMmapSize: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	value := make([]byte, 100) // a record of the batch above has 88 to 100 bytes
	put := func(c *record.Changes) error {
		return db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("instances"))
			if err != nil {
				return err
			}
			for i := range c.Put {
				if err := bucket.Put([]byte(c.Put[i].ID), value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := put(storetest.Bulk(benchFleet).Changes); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := put(commits[i%len(commits)].Changes); err != nil {
			b.Fatal(err)
		}
	}
	report(b, dir)
}

// BenchmarkCheck is what each commit pays twice to notice that the state file was replaced.
func BenchmarkCheck(b *testing.B) {
	store, err := statestore.OpenBolt(b.TempDir()+"/group", statestore.BoltOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	for b.Loop() {
		if err := store.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScrub overwrites what the deletion of 100 of 10,000 instances has left in the file.
func BenchmarkScrub(b *testing.B) {
	store, err := statestore.OpenBolt(b.TempDir()+"/group", statestore.BoltOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	state := [...]record.State{record.Ready, record.Gone}
	if err := store.Commit(context.Background(), fleetOf(0, benchFleet, record.Ready)); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		if err := store.Commit(context.Background(), fleetOf(0, 100, state[i%2])); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := statestore.Scrub(store); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens and loads a fleet of 10,000 instances.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir() + "/group"
	for i := 0; b.Loop(); i++ {
		store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			if err := store.Commit(context.Background(), storetest.Bulk(benchFleet)); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := store.Load(context.Background()); err != nil {
			b.Fatal(err)
		}
		_ = store.Close()
	}
}
