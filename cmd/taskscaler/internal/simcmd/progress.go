package simcmd

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// patience is the time after which a command shows a progress bar. A faster command shows none.
const patience = time.Second

// bar is a progress bar on a terminal. Without a terminal its methods do nothing. Several goroutines may call them.
type bar struct {
	lock  sync.Mutex
	w     io.Writer // nil: no bar
	what  string
	total int
	begun time.Time
	done  atomic.Int64
	shown *progressbar.ProgressBar
}

func newBar(s *Streams, what string, total int) *bar {
	b := &bar{what: what, total: max(total, 1), begun: time.Now()}
	if s.ErrTerminal {
		b.w = s.Err
	}
	return b
}

// set shows done of the total.
func (b *bar) set(done int) {
	if b.w == nil {
		return
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.shown == nil {
		if time.Since(b.begun) < patience {
			return
		}
		b.shown = progressbar.NewOptions(b.total, progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription(b.what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("jobs"), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	}
	_ = b.shown.Set(min(done, b.total)) // if the terminal cannot be written to, the simulation continues
}

// end removes the bar from the terminal.
func (b *bar) end() {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.shown != nil {
		_ = b.shown.Clear()
		_ = b.shown.Exit()
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
