package reference

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/puddle/v2"
)

// BenchmarkReferencePuddle is a well-known pool of connections, as it stands: a lock, no loop, no reasons, no memory of who holds what. It
// makes the pairs of BenchmarkAcquireReleaseMemory of pkg/taskscaler with as many callers.
func BenchmarkReferencePuddle(b *testing.B) {
	const callers = 64
	pool, err := puddle.NewPool(&puddle.Config[int]{
		Constructor: func(context.Context) (int, error) { return 0, nil }, Destructor: func(int) {}, MaxSize: callers,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for c := range callers {
		n := b.N / callers
		if c < b.N%callers {
			n++
		}
		wg.Go(func() {
			for range n {
				res, err := pool.Acquire(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				res.Release()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}
