package taskscaler

import (
	"context"
	"errors"
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

// maxRest is the longest pause between two lists that a provider can request. Without lists, the manager sees neither a new instance nor a
// lost one.
const maxRest = 5 * time.Minute

// observer lists the group at intervals and tells the loop what changed between two complete lists. A manager has one observer, and an
// observer runs one list call at a time.
type observer struct {
	t         *Taskscaler
	expecting atomic.Bool
	poke      chan struct{} // 1-buffered: the interval may have become shorter
	done      chan struct{}

	diff  differ
	doubt doubter
	odd   []string      // unknown states that the log has
	first bool          // the first complete list has arrived
	rest  time.Duration // the pause that the provider requested with its last error, at most maxRest
	tries int           // failed lists before the first complete one
}

func newObserver(t *Taskscaler) *observer {
	return &observer{t: t, poke: make(chan struct{}, 1), done: make(chan struct{}), diff: differ{known: map[record.ID]entry{}}, doubt: doubter{log: t.log}}
}

// expect sets whether the list is expected to change soon. If so, the intervals are shorter.
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

// run lists until ctx ends.
func (o *observer) run(ctx context.Context) {
	defer close(o.done)
	for ctx.Err() == nil {
		o.list(ctx)
		o.t.relimit()
		o.sleep(ctx)
	}
}

// sleep waits until the next list is due. The interval may become shorter meanwhile.
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
			timer.Reset(max(since+o.interval()-o.t.clock.Mono(), 1))
		}
	}
}

func (o *observer) interval() time.Duration {
	cfg := o.t.config()
	d := cfg.UpdateInterval
	switch {
	case !o.first: // the core makes no decision before the first list, so failed lists are retried soon, with back-off
		d = min(d, cfg.UpdateIntervalWhenExpecting<<min(max(o.tries-1, 0), 10))
	case o.expecting.Load():
		d = min(d, cfg.UpdateIntervalWhenExpecting)
	}
	return max(d, o.rest)
}

// list makes one list call and reports the result.
func (o *observer) list(ctx context.Context) {
	since := o.t.clock.Mono()
	l := &collector{}
	_, err := ask(ctx, o.t.work, callUpdate, "", 0, func(ctx context.Context) (struct{}, error) { return struct{}{}, o.t.group.Update(ctx, l.add) })
	found, bad := l.close()
	o.tellOdd(l.odd)
	if err == nil {
		err = o.doubt.judge(bad, func() bool { return o.lacks(found) })
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		o.failed(err)
		return
	}
	o.first, o.tries, o.rest = true, 0, 0
	o.t.health.lists.Store(nil)
	o.t.inbox.putAll(o.diff.events(found, since))
}

// tellOdd logs each state that is not a word of the contract once.
func (o *observer) tellOdd(states []string) {
	for _, s := range states {
		if len(o.odd) < mostOdd && !slices.Contains(o.odd, s) {
			o.odd = append(o.odd, s)
			o.t.log.Warn("the plugin reports a state that is not one of the contract, so the instance counts as creating and is not used: update the plugin or report it",
				"state", s)
		}
	}
}

func (o *observer) failed(err error) {
	if !o.first {
		o.tries++
	}
	f := provider.FailureOf(err)
	_, wall := o.t.clock.Now()
	o.t.health.listFailed(wall, f.Message)
	o.rest = min(f.RetryAfter, maxRest)
	o.t.inbox.put(&scaler.Event{Kind: scaler.EvListFailed, Failure: f, Away: errors.Is(err, provider.ErrAway)}, nil)
}

// unlisted describes consecutive failed lists.
type unlisted struct {
	since    time.Time
	failures int
	words    string // of the latest failure
	told     string // the words at the last milestone, for callers: they do not change with each list
}

// listFailed counts a failed list. Only the observer calls it.
func (h *health) listFailed(at time.Time, words string) {
	next := unlisted{since: at}
	if last := h.lists.Load(); last != nil {
		next = *last
	}
	next.failures++
	if next.words = words; scaler.Milestone(next.failures) {
		next.told = words
	}
	h.lists.Store(&next)
}

type found struct {
	id     record.ID
	listed fleet.Listed
}

// collector receives one list. It ignores what a provider reports after close.
type collector struct {
	mu     sync.Mutex
	all    []found
	closed bool
	bad    unusable
	odd    []string // states that are not words of the contract, the first few
}

// mostOdd is how many unknown states are remembered, and longestOdd how many bytes of each.
const mostOdd, longestOdd = 16, 64

func (l *collector) add(id string, state provider.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if err := provider.CheckID(id); err != nil {
		l.bad.add(id, err)
		return
	}
	listed := fleet.ListedOf(string(state))
	if listed == fleet.ListedCreating && state != provider.StateCreating && len(l.odd) < mostOdd {
		l.odd = append(l.odd, string(state[:min(len(state), longestOdd)]))
	}
	l.all = append(l.all, found{record.ID(id), listed})
}

func (l *collector) close() ([]found, unusable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.all, l.bad
}

// differ compares each complete list with the one before.
type differ struct {
	known map[record.ID]entry
	turn  uint64
	out   []scaler.Event
}

type entry struct {
	listed fleet.Listed
	turn   uint64 // number of the last list with this instance
}

// events returns what has changed: new and changed instances in the order of list, then missing ones by ID, then EvListed. If an instance
// is listed twice, the first entry counts. The events are valid until the next call.
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
