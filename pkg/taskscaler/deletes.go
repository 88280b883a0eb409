package taskscaler

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// deleter sends deletes to the provider, one call at a time. Deletes that arrive while a call runs are sent together in the next call.
type deleter struct {
	w       *workers
	mu      sync.Mutex
	queue   []scaler.Command
	running bool
}

func (d *deleter) put(cmds []scaler.Command) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, cmds...)
	if !d.running {
		d.running = true
		d.w.running.start(d.work)
	}
}

func (d *deleter) work() {
	for {
		d.mu.Lock()
		cmds := d.queue
		d.queue = nil
		d.running = len(cmds) > 0
		d.mu.Unlock()
		if len(cmds) == 0 {
			return
		}
		d.ask(cmds)
	}
}

// ask sends all of cmds in one call.
func (d *deleter) ask(cmds []scaler.Command) {
	var ids []string
	timeout := time.Duration(0)
	for i := range cmds {
		timeout = max(timeout, cmds[i].Timeout)
		ids = append(ids, string(cmds[i].ID))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	accepted, err := ask(d.w.ctx, d.w, callDecrease, "", timeout, func(ctx context.Context) ([]string, error) { return d.w.t.group.Decrease(ctx, ids) })
	ok := make(map[record.ID]bool, len(accepted))
	for _, id := range accepted {
		ok[record.ID(id)] = true
	}
	for i := range cmds {
		ev := scaler.Event{Kind: scaler.EvDeleted, Op: cmds[i].Op, ID: cmds[i].ID, Serial: cmds[i].Serial}
		switch {
		case ok[cmds[i].ID]:
			d.w.t.failing.deleted(cmds[i].ID, nil)
			d.w.report(&ev, nil)
		case err == nil:
			refused := provider.Errorf(provider.KindTransient, "the provider did not accept the delete and returned no error; the delete is retried")
			d.w.t.failing.deleted(cmds[i].ID, refused)
			d.w.report(&ev, refused)
		default:
			d.w.t.failing.deleted(cmds[i].ID, err)
			d.w.report(&ev, err)
		}
	}
}
