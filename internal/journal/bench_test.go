package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// load returns n events: acquires and their releases.
func load(n int) []scaler.Event {
	events := make([]scaler.Event, n)
	for i := range events {
		key := record.Key(fmt.Sprintf("project-4711/job-%09d", i/2))
		events[i] = scaler.Event{Kind: scaler.EvAcquire, Key: key, Ticket: uint64(i + 1), Deadline: time.Hour}
		if i%2 == 1 {
			events[i] = scaler.Event{Kind: scaler.EvRelease, Key: key, Ticket: uint64(i + 1)}
		}
	}
	return events
}

// BenchmarkRound measures the cost of the journal on the lease path, per event. Writing the file is not included. Compare with
// BenchmarkAppend.
func BenchmarkRound(b *testing.B) {
	for _, n := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			d := drive(b, b.TempDir(), 1, Options{})
			events, batch := load(n), &scaler.Batch{Grants: make([]scaler.Grant, n)}
			now := d.now
			var bytes, unflushed int64
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= n {
				now.Mono += 100 * time.Microsecond
				now.Wall = now.Wall.Add(100 * time.Microsecond)
				for i := range events {
					events[i].Ticket += uint64(n)
					events[i].Deadline = (events[i].Deadline &^ 1) * time.Duration(1-i%2)
					if i%2 == 0 {
						events[i].Deadline = now.Mono + time.Hour
					}
				}
				before := d.w.segment
				d.w.Round(now, events)
				d.w.Taken(batch)
				if d.w.Due() {
					s := scaler.Snapshot{Now: now}
					d.w.Rotate(&s)
					before = 0
				}
				bytes += d.w.segment - before
				if unflushed += d.w.segment - before; unflushed > fullBuffer/2 { // the speed of the disk is not measured
					b.StopTimer()
					d.flush()
					unflushed = 0
					b.StartTimer()
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(bytes)/float64(b.N), "bytes/event")
		})
	}
}

// BenchmarkAppend is the lower bound for BenchmarkRound: it copies as many bytes to a buffer that is emptied when full.
func BenchmarkAppend(b *testing.B) {
	record := make([]byte, 34)
	buffer := make([]byte, 0, fullBuffer)
	b.ReportAllocs()
	for b.Loop() {
		if len(buffer)+len(record) > cap(buffer) {
			buffer = buffer[:0]
		}
		buffer = append(buffer, record...)
	}
}
