package logqueue

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a writer that blocks until it is opened.
type gate struct {
	mu   sync.Mutex
	text strings.Builder
	open chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// TestBlockedLog: writing goes on while nobody reads. What fits is written in order when the log is read again, and then the rest is counted.
func TestBlockedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &gate{open: make(chan struct{})}
		var q *Queue
		q = New(to, 50, func(n int) { fmt.Fprintf(q, "%d were dropped\n", n) })
		buf := make([]byte, 10)
		for i := range 20 {
			copy(buf, fmt.Sprintf("record %02d\n", i)) // a slog handler uses its buffer again
			if n, err := q.Write(buf); n != 10 || err != nil {
				t.Fatal(n, err)
			}
			synctest.Wait()
		}
		close(to.open)
		synctest.Wait()
		// One record was in the blocked call, and five were in the queue.
		want := "record 00\nrecord 01\nrecord 02\nrecord 03\nrecord 04\nrecord 05\n14 were dropped\n"
		if to.String() != want {
			t.Errorf("written:\n%s", to)
		}
		fmt.Fprint(q, "the end\n")
		if !q.Close(time.Minute) || to.String() != want+"the end\n" {
			t.Errorf("written after Close:\n%s", to)
		}
		fmt.Fprint(q, "too late\n")
		if !q.Close(time.Minute) {
			t.Error("the second Close")
		}
	})
}

// TestCloseOfABlockedLog: the end of the program does not wait for a reader for longer than its patience.
func TestCloseOfABlockedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &gate{open: make(chan struct{})}
		q := New(to, 1000, func(int) {})
		fmt.Fprint(q, "one\n")
		began := time.Now()
		if q.Close(3 * time.Second) {
			t.Error("everything was written")
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Close took %s", took)
		}
		close(to.open)
		synctest.Wait()
		if to.String() != "one\n" {
			t.Errorf("written: %q", to)
		}
	})
}

// TestManyWriters: no record is lost or cut while there is room.
func TestManyWriters(t *testing.T) {
	var out strings.Builder
	q := New(&out, 1<<20, func(n int) { t.Errorf("%d records were dropped", n) })
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 500 {
				fmt.Fprintf(q, "%d-%03d\n", w, i)
			}
		})
	}
	all.Wait()
	if !q.Close(time.Minute) {
		t.Fatal("not everything was written")
	}
	next := map[string]int{}
	for line := range strings.Lines(out.String()) {
		who, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "-")
		if number != fmt.Sprintf("%03d", next[who]) {
			t.Fatalf("line %q where %d was expected", line, next[who])
		}
		next[who]++
	}
	for who, n := range next {
		if n != 500 {
			t.Errorf("writer %s: %d records", who, n)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestBrokenLog: a log that cannot be written does not stop anything.
func TestBrokenLog(t *testing.T) {
	q := New(broken{}, 100, func(int) {})
	for range 1000 {
		fmt.Fprint(q, "a record\n")
	}
	if !q.Close(time.Minute) {
		t.Error("Close waits")
	}
}
