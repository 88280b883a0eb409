package simcmd

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

const (
	patience = time.Second            // after this time a command shows a progress bar; a faster command shows none
	rhythm   = 100 * time.Millisecond // between two drawings
	width    = 30                     // of the bar, in characters
	wipe     = "\r\x1b[K"             // to the begin of the line, and erase it
)

// bar is a progress bar on a terminal. Without a terminal its methods do nothing. Several goroutines may call them.
type bar struct {
	lock  sync.Mutex
	w     io.Writer // nil: no bar
	what  string
	total int
	begun time.Time
	done  atomic.Int64
	drawn time.Time // zero: nothing is shown
}

func newBar(s *Streams, what string, total int) *bar {
	return &bar{w: s.Bar, what: what, total: max(total, 1), begun: time.Now()}
}

// set shows done of the total.
func (b *bar) set(done int) {
	if b.w == nil {
		return
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	now := time.Now()
	if now.Sub(b.begun) < patience || now.Sub(b.drawn) < rhythm {
		return
	}
	b.drawn = now
	_, _ = io.WriteString(b.w, wipe+b.line(min(done, b.total), now.Sub(b.begun))) // if the terminal cannot be written to, the simulation continues
}

// line returns the bar as text: the share that is done, the counts, the speed, and the times that passed and that remain.
func (b *bar) line(done int, passed time.Duration) string {
	share := float64(done) / float64(b.total)
	full := int(share * width)
	text := fmt.Sprintf("%s %3d%% |%s%s| (%d/%d, %.0f jobs/s) [%s", b.what, int(100*share), strings.Repeat("█", full), strings.Repeat(" ", width-full),
		done, b.total, float64(done)/passed.Seconds(), passed.Round(time.Second))
	if done > 0 {
		text += ":" + time.Duration(float64(passed)*(1-share)/share).Round(time.Second).String()
	}
	return text + "]"
}

// end removes the bar from the terminal.
func (b *bar) end() {
	b.lock.Lock()
	defer b.lock.Unlock()
	if !b.drawn.IsZero() {
		_, _ = io.WriteString(b.w, wipe)
		b.drawn = time.Time{}
	}
}

// add moves the bar forward by n.
func (b *bar) add(n int) {
	if b.w != nil {
		b.set(int(b.done.Add(int64(n))))
	}
}

// counted is a workload that moves a bar forward as its jobs arrive.
type counted struct {
	simulate.Workload
	bar *bar
	n   int
}

// Next implements simulate.Workload.
func (c *counted) Next() (simulate.Job, bool) {
	const some = 1 << 12
	if c.n++; c.n%some == 0 {
		c.bar.add(some)
	}
	return c.Workload.Next()
}
