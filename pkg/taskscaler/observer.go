package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// listTimeout bounds one list of the group.
const listTimeout = 2 * time.Minute

// observer asks for the group's list, again and again, and tells the loop what changed from one complete list to the next. There is one a
// group, and never two lists at once.
type observer struct {
	t         *Taskscaler
	expecting atomic.Bool
	poke      chan struct{} // 1-buffered: the interval may have become shorter
	done      chan struct{}

	diff  differ
	first bool          // a complete list was seen
	rest  time.Duration // the provider asked for so much rest
	tries int           // lists in a row that failed before the first complete one
}

func newObserver(t *Taskscaler) *observer {
	return &observer{t: t, poke: make(chan struct{}, 1), done: make(chan struct{}), diff: differ{known: map[record.ID]entry{}}}
}

// expect says whether the list is expected to change soon.
func (o *observer) expect(yes bool) {
	if o.expecting.Load() == yes {
		return
	}
	o.expecting.Store(yes)
	if yes {
		o.hurry()
	}
}

func (o *observer) hurry() {
	select {
	case o.poke <- struct{}{}:
	default:
	}
}

// run lists until ctx ends, and until the list that runs then has returned.
func (o *observer) run(ctx context.Context) {
	defer close(o.done)
	for ctx.Err() == nil {
		o.list(ctx)
		o.sleep(ctx)
	}
}

// sleep waits for the next list's time, which may come nearer meanwhile.
func (o *observer) sleep(ctx context.Context) {
	since := o.t.clock.Mono()
	timer := time.NewTimer(o.interval())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-o.poke:
			timer.Reset(max(since+o.interval()-o.t.clock.Mono(), 0))
		}
	}
}

func (o *observer) interval() time.Duration {
	cfg := o.t.config()
	d := cfg.UpdateInterval
	switch {
	case !o.first: // nothing can be decided before the first list
		d = min(d, cfg.UpdateIntervalWhenExpecting<<min(max(o.tries-1, 0), 10))
	case o.expecting.Load():
		d = min(d, cfg.UpdateIntervalWhenExpecting)
	}
	return max(d, o.rest)
}

// list asks for one list and reports it. A call that does not return in time is reported as failed, again after each interval, and no
// other one is begun before it has returned.
func (o *observer) list(ctx context.Context) {
	since := o.t.clock.Mono()
	call, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	l := &collector{}
	result := make(chan error, 1)
	o.t.work.running.start(func() {
		result <- guard(o.t.log, func() error { return o.t.group.Update(call, l.add) })
	})
	var err error
	select {
	case err = <-result:
	case <-call.Done():
		if err = o.overdue(ctx, result); err == nil {
			return
		}
	}
	found, bad := l.close()
	if err == nil {
		err = bad
	}
	if ctx.Err() != nil {
		return
	}
	o.t.health.heard(err)
	if err != nil {
		o.failed(err)
		return
	}
	o.first, o.tries, o.rest = true, 0, 0
	o.t.inbox.putAll(o.diff.events(found, since))
}

// overdue waits for a list that did not return at its timeout. It has a moment to do so; then it is reported as hanging until it does.
func (o *observer) overdue(ctx context.Context, result <-chan error) error {
	moment := time.NewTimer(time.Second)
	defer moment.Stop()
	for {
		select {
		case err := <-result:
			return errors.Join(fmt.Errorf("the list was not complete within %s", listTimeout), err)
		case <-ctx.Done():
			return nil // Shutdown waits for the call, for a while
		case <-moment.C:
			o.failed(provider.Errorf(provider.KindTransient, "the provider's list hangs: no answer within %s", listTimeout))
			moment.Reset(o.t.config().UpdateInterval)
		}
	}
}

func (o *observer) failed(err error) {
	if !o.first {
		o.tries++
	}
	f := provider.FailureOf(err)
	o.rest = f.RetryAfter
	o.t.inbox.put(&scaler.Event{Kind: scaler.EvListFailed, Failure: f, Away: errors.Is(err, provider.ErrAway)}, nil)
}

type found struct {
	id     record.ID
	listed fleet.Listed
}

// collector takes one list in. What a provider reports after it was closed is ignored.
type collector struct {
	mu     sync.Mutex
	all    []found
	closed bool
	bad    error
}

func (l *collector) add(id string, state provider.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case id == "":
		l.bad = provider.Errorf(provider.KindConfig, "the provider listed an instance without an id")
	default:
		l.all = append(l.all, found{record.ID(id), fleet.ListedOf(string(state))})
	}
}

func (l *collector) close() ([]found, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.all, l.bad
}

// differ knows the last complete list.
type differ struct {
	known map[record.ID]entry
	turn  uint64
	out   []scaler.Event
}

type entry struct {
	listed fleet.Listed
	turn   uint64 // of the last list that had it
}

// events says what is different in list, in the list's order, then what is missing, by ID, and ends with EvListed. An instance that is
// listed twice counts once, as it was listed first. The events are valid until the next call.
func (d *differ) events(list []found, since time.Duration) []scaler.Event {
	d.turn++
	d.out = d.out[:0]
	seen := 0
	for i := range list {
		f := &list[i]
		e, ok := d.known[f.id]
		switch {
		case !ok:
			d.out = append(d.out, scaler.Event{Kind: scaler.EvAppeared, ID: f.id, Listed: f.listed})
		case e.turn == d.turn:
			continue
		case e.listed != f.listed:
			d.out = append(d.out, scaler.Event{Kind: scaler.EvChanged, ID: f.id, Listed: f.listed})
		}
		seen++
		d.known[f.id] = entry{f.listed, d.turn}
	}
	if seen < len(d.known) {
		d.missing()
	}
	return append(d.out, scaler.Event{Kind: scaler.EvListed, Since: since})
}

func (d *differ) missing() {
	from := len(d.out)
	for id, e := range d.known {
		if e.turn != d.turn {
			d.out = append(d.out, scaler.Event{Kind: scaler.EvMissing, ID: id})
			delete(d.known, id)
		}
	}
	slices.SortFunc(d.out[from:], func(a, b scaler.Event) int { return strings.Compare(string(a.ID), string(b.ID)) })
}
