package taskscaler

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"go.etcd.io/bbolt"
)

// pairs runs b.N pairs of Acquire and Release, spread over callers. It reports pairs per second and the time of one pair.
func pairs(b *testing.B, callers int, pair func(caller int) error) {
	b.Helper()
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for c := range callers {
		n := b.N / callers
		if c < b.N%callers {
			n++
		}
		took[c] = make([]time.Duration, 0, n)
		wg.Go(func() {
			for range n {
				from := time.Now()
				if err := pair(c); err != nil {
					b.Error(err)
					return
				}
				took[c] = append(took[c], time.Since(from))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// ready returns a manager with a free slot for every caller.
func benchManager(b *testing.B, store statestore.Store, slots int, journal bool) *Taskscaler {
	b.Helper()
	g, n := newGroup(), &testNet{}
	g.boot = 0
	cfg := Config{
		CapacityPerInstance: 8, MaxInstances: slots/8 + 1, Policies: idle(b, slots, time.Hour),
		UpdateIntervalWhenExpecting: 10 * time.Millisecond, UpdateInterval: time.Second,
	}
	opts := []Option{WithStore(store), WithDialer(n.dial)}
	if journal {
		opts = append(opts, WithJournal(b.TempDir(), JournalOptions{}))
	}
	t, err := New(b.Context(), g, cfg, opts...)
	if err != nil {
		b.Fatal(err)
	}
	for {
		s, err := t.Status(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if s.Counts.Free >= slots {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := t.Shutdown(ctx); err != nil {
			b.Error(err)
		}
	})
	return t
}

func benchLeases(b *testing.B, store statestore.Store, callers int, journal bool) {
	t := benchManager(b, store, callers, journal)
	keys := make([]string, callers)
	for i := range keys {
		keys[i] = fmt.Sprintf("job-%04d", i)
	}
	pairs(b, callers, func(c int) error {
		l, err := t.Acquire(context.Background(), keys[c])
		if err != nil {
			return err
		}
		return l.Release(context.Background())
	})
}

// BenchmarkAcquireReleaseMemory measures a lease without a disk. Its reference is BenchmarkReferenceMailbox.
func BenchmarkAcquireReleaseMemory(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchLeases(b, statestore.NewMemory(), callers, true) })
	}
}

// BenchmarkAcquireReleaseMemoryNoJournal is the same without a journal. The taskscaler command keeps a journal by default.
func BenchmarkAcquireReleaseMemoryNoJournal(b *testing.B) {
	b.Run("callers=64", func(b *testing.B) { benchLeases(b, statestore.NewMemory(), 64, false) })
}

// BenchmarkAcquireReleaseBolt measures a lease that is stored on disk. Its reference is BenchmarkReferenceGroupCommit.
func BenchmarkAcquireReleaseBolt(b *testing.B) {
	for _, callers := range []int{64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchBolt(b, callers, true) })
	}
}

// BenchmarkAcquireReleaseBoltNoJournal is the same without a journal.
func BenchmarkAcquireReleaseBoltNoJournal(b *testing.B) {
	b.Run("callers=256", func(b *testing.B) { benchBolt(b, 256, false) })
}

func benchBolt(b *testing.B, callers int, journal bool) {
	store, err := statestore.OpenBolt(b.TempDir(), statestore.BoltOptions{})
	if err != nil {
		b.Fatal(err)
	}
	benchLeases(b, store, callers, journal)
}

// reference is a mailbox loop that makes no decision: the cost of any design with one owner and answers over a channel.
type reference struct {
	mu     sync.Mutex
	box    []chan int
	wake   chan struct{}
	closed bool
	commit func(n int)
}

func (r *reference) run() {
	var batch []chan int
	for {
		r.mu.Lock()
		batch, r.box = r.box, batch[:0]
		closed := r.closed
		r.mu.Unlock()
		if len(batch) == 0 {
			if closed {
				return
			}
			<-r.wake
			runtime.Gosched() // as the manager does: without it, a batch has one message
			continue
		}
		r.commit(len(batch))
		for i, c := range batch {
			c <- i
		}
	}
}

func (r *reference) call(c chan int) {
	r.mu.Lock()
	r.box = append(r.box, c)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	<-c
}

func benchReference(b *testing.B, callers int, commit func(n int)) {
	r := &reference{wake: make(chan struct{}, 1), commit: commit}
	var done sync.WaitGroup
	done.Go(r.run)
	answers := make([]chan int, callers)
	for i := range answers {
		answers[i] = make(chan int, 1)
	}
	pairs(b, callers, func(c int) error {
		r.call(answers[c])
		r.call(answers[c])
		return nil
	})
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.wake <- struct{}{}
	done.Wait()
}

// BenchmarkReferenceMailbox is a loop that only receives and answers messages.
func BenchmarkReferenceMailbox(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchReference(b, callers, func(int) {}) })
	}
}

// BenchmarkReferenceGroupCommit is the same, and writes as many records per batch as the manager, each of the size of an instance: one for
// each instance that a message changes, with fsync.
func BenchmarkReferenceGroupCommit(b *testing.B) {
	for _, callers := range []int{64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "reference.db"), 0o600, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			value := make([]byte, 220) // an instance with 8 leases
			benchReference(b, callers, func(n int) {
				err := db.Update(func(tx *bbolt.Tx) error {
					bucket, err := tx.CreateBucketIfNotExists([]byte("instances"))
					if err != nil {
						return err
					}
					for i := range min(n, callers/8+1) {
						var key [8]byte
						binary.BigEndian.PutUint64(key[:], uint64(i))
						if err := bucket.Put(key[:], value); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkReferenceChannelPool is the lowest cost of a pool of slots: a buffered channel. It has no memory, no order of waiters, and no
// record of who holds a slot. The difference to the manager is the cost of these.
func BenchmarkReferenceChannelPool(b *testing.B) {
	pool := make(chan int, 64)
	for i := range cap(pool) {
		pool <- i
	}
	pairs(b, 64, func(int) error {
		pool <- <-pool
		return nil
	})
}

// BenchmarkListDiff compares a complete list of 10,000 instances with the one before.
func BenchmarkListDiff(b *testing.B) {
	list := func(changed int) []found {
		out := make([]found, 10_000)
		for i := range out {
			out[i] = found{record.ID(fmt.Sprintf("projects/p/zones/z/instances/fleet-%08d", i*7919%10_000)), fleet.ListedRunning}
			if i < changed {
				out[i].listed = fleet.ListedDeleting
			}
		}
		return out
	}
	for _, changed := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprintf("changed=%d", changed), func(b *testing.B) {
			d := differ{known: map[record.ID]entry{}}
			lists := [2][]found{list(0), list(changed)}
			d.events(lists[1], 0)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if got := len(d.events(lists[n%2], 0)); got != changed+1 {
					b.Fatalf("%d events", got)
				}
				n++
			}
		})
	}
}

// BenchmarkScaleUpLatency measures the time from an Acquire without a free slot to the provider's Increase.
func BenchmarkScaleUpLatency(b *testing.B) {
	called := make(chan time.Time, 1)
	g, n := newGroup(), &testNet{}
	g.onIncrease = func(context.Context, int) (int, error) {
		called <- time.Now()
		return 0, provider.Errorf(provider.KindTransient, "not today")
	}
	var total time.Duration
	for range b.N {
		cfg := Config{MaxInstances: 1}
		t, err := New(b.Context(), g, cfg, WithDialer(n.dial))
		if err != nil {
			b.Fatal(err)
		}
		for t.Ready() != nil {
			runtime.Gosched()
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		from := time.Now()
		wg.Go(func() { _, _ = t.Acquire(ctx, "job") })
		total += (<-called).Sub(from)
		cancel()
		wg.Wait()
		if err := t.Shutdown(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N)/1000, "ms/scale-up")
}
