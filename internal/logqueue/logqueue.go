// Package logqueue writes log records in the background. A log that nobody reads (a full pipe, a terminal that was stopped, a disk that hangs) must
// not stop the manager.
package logqueue

import (
	"io"
	"sync"
	"time"
)

// Limit is how many bytes of records a manager keeps for a log that is not read.
const Limit = 4 << 20

// Queue is a writer that never blocks. What does not fit into its limit is dropped and counted.
type Queue struct {
	to        io.Writer
	limit     int
	onDropped func(records int)
	wake      chan struct{} // has a value if there is something to do
	done      chan struct{} // closed when the writing goroutine has ended

	mu      sync.Mutex
	records [][]byte
	bytes   int // in records
	dropped int // since the last report
	closed  bool
}

// New returns a queue that writes to w, record by record. onDropped is called when records can be written again after some were dropped; it
// may write to the queue.
func New(w io.Writer, limit int, onDropped func(records int)) *Queue {
	q := &Queue{to: w, limit: limit, onDropped: onDropped, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write implements io.Writer. p is one record. It never fails.
func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	if q.closed || q.bytes+len(p) > q.limit {
		q.dropped++
	} else {
		q.records = append(q.records, append([]byte(nil), p...))
		q.bytes += len(p)
	}
	q.mu.Unlock()
	q.signal()
	return len(p), nil
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close waits until everything is written, but not longer than patience. It reports whether everything was.
func (q *Queue) Close(patience time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-q.done:
		return true
	case <-limit.C:
		return false
	}
}

func (q *Queue) run() {
	defer close(q.done)
	for range q.wake {
		for {
			record, more := q.next()
			if !more {
				break
			}
			_, _ = q.to.Write(record) // there is nobody to tell
		}
		if q.report() {
			return
		}
	}
}

// next takes the oldest record.
func (q *Queue) next() (record []byte, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.records) == 0 {
		q.records = nil
		return nil, false
	}
	record = q.records[0]
	q.records[0] = nil
	q.records = q.records[1:]
	q.bytes -= len(record)
	return record, true
}

// report tells how many records were dropped. It reports whether the queue is closed and has nothing left.
func (q *Queue) report() (over bool) {
	q.mu.Lock()
	n := q.dropped
	q.dropped = 0
	over = q.closed && len(q.records) == 0
	q.mu.Unlock()
	if n > 0 && !over {
		q.onDropped(n)
	}
	return over
}
