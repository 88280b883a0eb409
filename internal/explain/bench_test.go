package explain_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// BenchmarkReplay replays a journal of a busy day: 100,000 jobs on up to 100 instances, whose number follows the load. The result to look at
// is events/s.
func BenchmarkReplay(b *testing.B) {
	const jobs, width = 100_000, 100
	r := explaintest.New(b, explaintest.Config(policy.Settings{IdleCount: 5, IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = width }),
		explain.Options{Keep: 10})
	r.Light = true
	r.Every = 10 * time.Second
	for n := 0; n < jobs; n += width {
		busy := width
		if n/width%10 == 9 { // a lull
			busy = 10
		}
		keys := make([]record.Key, busy)
		for i := range keys {
			keys[i] = record.Key(fmt.Sprintf("job-%d", n+i))
			r.Ask(scaler.EvAcquire, keys[i])
		}
		r.Run(45 * time.Second)
		for _, k := range keys {
			r.Ask(scaler.EvRelease, k)
		}
		if busy < width {
			r.Run(2 * time.Minute)
		}
	}
	dir := b.TempDir()
	r.Journal(dir, 0)
	events := r.History.Span().Events
	b.ResetTimer()
	for b.Loop() {
		if err := explain.Replay(b.Context(), explain.ReplayRequest{Path: dir, Out: io.Discard}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
