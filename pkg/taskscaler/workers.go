package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/descriptors"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// How many calls of each kind run at the same time. Of the other kinds, one call runs at a time.
const (
	preparesAtOnce   = descriptors.PreparesAtOnce
	heartbeatsAtOnce = 16
	lookupsAtOnce    = 16
)

// workers execute the core's commands. Only the workers and the observer call the group, so a slow call delays only calls of the same kind.
// Each command is answered by exactly one event.
type workers struct {
	t   *Taskscaler
	ctx context.Context // ends when the shutdown stops waiting for calls

	running   crew
	abandoned abandoned

	increases, prepares, beats pool[scaler.Command]
	lookups                    chan struct{}
	deletes                    deleter
	gathered                   []scaler.Command // owned by the loop
}

func newWorkers(ctx context.Context, t *Taskscaler) *workers {
	w := &workers{t: t, ctx: ctx, lookups: make(chan struct{}, lookupsAtOnce), abandoned: abandoned{log: t.log}}
	w.increases = pool[scaler.Command]{crew: &w.running, limit: 1, run: w.increase}
	w.prepares = pool[scaler.Command]{crew: &w.running, limit: preparesAtOnce, run: w.prepare}
	w.beats = pool[scaler.Command]{crew: &w.running, limit: heartbeatsAtOnce, run: w.beat}
	w.deletes.w = w
	return w
}

// do starts the commands of one batch. It never blocks. The deletes of a batch are sent in one call.
func (w *workers) do(cmds []scaler.Command) {
	for i := range cmds {
		switch cmds[i].Kind {
		case scaler.CmdIncrease:
			w.increases.put(cmds[i])
		case scaler.CmdDelete:
			w.gathered = append(w.gathered, cmds[i])
		case scaler.CmdPrepare:
			w.t.failing.prepares(cmds[i].ID, true)
			w.prepares.put(cmds[i])
		case scaler.CmdHeartbeat:
			w.beats.put(cmds[i])
		}
	}
	if len(w.gathered) > 0 {
		w.deletes.put(w.gathered)
		w.gathered = w.gathered[:0]
	}
}

func (w *workers) increase(cmd scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvIncreased, Op: cmd.Op}
	n, err := ask(w.ctx, w, callIncrease, "", cmd.Timeout, func(ctx context.Context) (int, error) { return w.t.group.Increase(ctx, cmd.Count) })
	ev.Count = min(max(n, 0), cmd.Count)
	w.t.failing.note(callLimits[callIncrease].name, "", err)
	w.report(&ev, err)
}

func (w *workers) beat(cmd scaler.Command) {
	ev := scaler.Event{Kind: scaler.EvBeat, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	var err error
	if hb, ok := w.t.group.(provider.Heartbeater); ok {
		_, err = ask(w.ctx, w, callHeartbeat, string(cmd.ID), cmd.Timeout, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, hb.Heartbeat(ctx, string(cmd.ID))
		})
		w.t.failing.note(callLimits[callHeartbeat].name, cmd.ID, err)
	}
	w.report(&ev, err)
}

// connectInfo gets the connect info from the provider, on behalf of a caller.
func (w *workers) connectInfo(ctx context.Context, id record.ID) (info provider.ConnectInfo, err error) {
	select {
	case w.lookups <- struct{}{}:
		defer func() { <-w.lookups }()
	case <-ctx.Done():
		return info, context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(w.ctx, func() { cancel(context.Cause(w.ctx)) })()
	defer cancel(nil)
	return w.askConnectInfo(ctx, id)
}

func (w *workers) askConnectInfo(ctx context.Context, id record.ID) (provider.ConnectInfo, error) {
	return ask(ctx, w, callConnectInfo, string(id), 0, func(ctx context.Context) (provider.ConnectInfo, error) {
		return w.t.group.ConnectInfo(ctx, string(id))
	})
}

// report sends the result of a command to the loop.
func (w *workers) report(ev *scaler.Event, err error) {
	ev.Failure, ev.Away = provider.FailureOf(err), errors.Is(err, provider.ErrAway)
	w.t.inbox.put(ev, nil)
}

// guard turns a panic of f into an error, and logs its stack.
func guard(log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a call panicked: this is a bug in the provider or in the embedding program, report it there", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = provider.Errorf(provider.KindTransient, "panic: %v", p)
		}
	}()
	return f()
}

// heard records whether a call reached the plugin.
func (h *health) heard(err error) {
	switch {
	case errors.Is(err, provider.ErrAway):
		h.away.Store(&err)
	case h.away.Load() != nil && !errors.Is(err, context.Canceled):
		h.away.Store(nil)
	}
}

// pool runs jobs on at most limit goroutines. They end when the queue is empty.
type pool[J any] struct {
	crew  *crew
	limit int
	run   func(J)

	mu      sync.Mutex
	queue   []J
	running int
}

func (p *pool[J]) put(j J) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, j)
	if p.running < p.limit {
		p.running++
		p.crew.start(p.work)
	}
}

func (p *pool[J]) work() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.queue = nil
			p.running--
			p.mu.Unlock()
			return
		}
		j := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		p.run(j)
	}
}

// crew counts goroutines. wait has a time limit, because a call to a provider may hang for ever.
type crew struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil: no wait is running
}

func (c *crew) start(f func()) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	go func() {
		defer c.leave()
		f()
	}()
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// wait waits until no goroutine is left, for at most d. It reports whether that happened.
func (c *crew) wait(d time.Duration) bool {
	c.mu.Lock()
	if c.n == 0 {
		c.mu.Unlock()
		return true
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-idle:
		return true
	case <-timer.C:
		return false
	}
}
