package taskscaler

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// recheck bounds the time between two steps: the core reads the wall clock at each, so that a jump of that clock is noticed.
const recheck = 30 * time.Second

// decider is what the loop needs of a core; *scaler.Core is the only one.
type decider interface {
	Step(now scaler.Time, ev scaler.Event)
	Take() *scaler.Batch
}

var _ decider = (*scaler.Core)(nil)

// loop is the goroutine that owns the core. Its fields are its own: it holds mu, except while it commits.
type loop struct {
	mu      sync.Mutex
	t       *Taskscaler
	core    *scaler.Core
	obs     observe.Observer
	mail    mail
	waiters waiters
	leases  map[record.Key]*Lease
	moved   []*Lease // leases that an EvReplace of this batch gives back

	begun   bool          // something was stepped
	last    time.Duration // Mono of the last step
	wake    time.Duration // the core's wish; 0: none
	timer   *time.Timer
	armed   time.Duration // when timer fires
	started bool
	done    bool

	lastWords string         // of the latest create or preparation that failed
	before    scaler.Summary // of the time before the batch that is being committed
	trouble   *trouble       // why the last commit failed; nil: it did not
	drainers  []*drainer
	inspect   func(*scaler.Batch) // for tests: sees each batch before its commit; nil
}

// run steps what waits until the inbox is closed and empty, or something stops it; then it answers everybody who is left.
func (l *loop) run() {
	l.mu.Lock()
	l.t.inbox.tick() // only a step says when the core wants the next
	l.timer = time.AfterFunc(recheck, l.t.inbox.tick)
	err := l.serve()
	l.timer.Stop()
	if err != nil {
		l.t.lastWords()
	}
	l.t.stop(err)
	l.leave(l.t.stopped())
	l.mu.Unlock()
	close(l.t.loopDone)
}

// abandon does what run does at its end, in the place of a loop that hangs in a commit.
func (l *loop) abandon(err error) {
	l.t.stop(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(err)
}

func (l *loop) serve() error {
	for {
		l.mail.reset()
		some, open := l.t.inbox.take(&l.mail)
		if some {
			if err := l.round(); err != nil {
				return err
			}
			continue
		}
		if !open {
			return nil
		}
		<-l.t.inbox.wake
		// Whoever can run now may put something too. Without this the loop and one caller would take turns on one thread, batch by batch of
		// one event, while the others wait for the scheduler.
		runtime.Gosched()
	}
}

// round takes one load of mail in.
func (l *loop) round() error {
	mono, wall := l.t.clock.Now()
	if l.mail.ticked {
		l.armed = 0
		if mono >= l.due() {
			l.mail.events = append(l.mail.events, scaler.Event{Kind: scaler.EvWake})
			l.mail.waiters = append(l.mail.waiters, nil)
		}
		l.arm(mono)
	}
	l.ticket(mono)
	if len(l.mail.events) > 0 || len(l.mail.secrets) > 0 {
		if err := l.step(scaler.Time{Mono: mono, Wall: wall}); err != nil {
			return err
		}
	}
	for _, q := range l.mail.queries {
		q(l)
	}
	return nil
}

// ticket names the callers, and drops cancellations of what was answered before.
func (l *loop) ticket(mono time.Duration) {
	m, n, patience := &l.mail, 0, l.t.config().AcquireTimeout
	for i := range m.events {
		ev, w := &m.events[i], m.waiters[i]
		switch {
		case w == nil:
		case ev.Kind == scaler.EvCancel:
			if ev.Ticket = w.ticket; ev.Ticket == 0 {
				continue
			}
		default:
			w.since = mono
			ev.Ticket = l.waiters.add(w)
		}
		switch ev.Kind {
		case scaler.EvReplace:
			if lease := l.leases[ev.Key]; lease != nil {
				l.moved = append(l.moved, lease)
			}
			fallthrough
		case scaler.EvAcquire:
			if ev.Deadline == 0 {
				ev.Deadline = mono + patience
			}
		}
		if n != i {
			m.events[n], m.waiters[n] = *ev, w
		}
		n++
	}
	m.events, m.waiters = m.events[:n], m.waiters[:n]
}

// step steps the events of the mail at one moment, and does with the batch what the batch's comment says, in that order.
func (l *loop) step(now scaler.Time) error {
	l.before = l.core.Summary()
	l.record(now)
	if l.obs.Events != nil {
		l.obs.Events(now, l.mail.events)
	}
	for i := range l.mail.events {
		l.core.Step(now, l.mail.events[i])
	}
	l.last, l.begun = now.Mono, true
	batch := l.core.Take()
	l.recorded(batch)
	if l.inspect != nil {
		l.inspect(batch)
	}
	if batch.Bug != nil {
		return &StopError{Reason: "it found a bug of its own and committed nothing of it; the state on disk is intact", Err: batch.Bug}
	}
	if err := l.commit(batch); err != nil {
		return err
	}
	l.dispatch(batch)
	l.wake = batch.Wake
	l.arm(now.Mono)
	return nil
}

// due is when the loop must step again without mail.
func (l *loop) due() time.Duration {
	if !l.begun {
		return 0
	}
	due := l.last + recheck
	if l.wake > 0 {
		due = min(due, l.wake)
	}
	return due
}

// arm sets the timer to what is due, unless it fires earlier anyway: it is then set again.
func (l *loop) arm(mono time.Duration) {
	due := l.due()
	if l.armed != 0 && l.armed <= due {
		return
	}
	l.armed = due
	l.timer.Reset(max(due-mono, 0))
}

// dispatch lets a committed batch take effect: answers, then commands, then facts. A caller whose lease is revoked hears of it before its
// machine is deleted.
func (l *loop) dispatch(b *scaler.Batch) {
	for _, lease := range l.moved {
		l.settleMoved(lease, b)
	}
	clear(l.moved)
	l.moved = l.moved[:0]
	for i := range b.Grants {
		l.answer(&b.Grants[i], b)
	}
	l.acknowledge()
	l.t.work.do(b.Commands)
	if l.obs.Batch != nil {
		l.obs.Batch(b)
	}
	for i := range b.Facts {
		f := &b.Facts[i]
		if words, ok := observe.Words(f); ok {
			l.lastWords = words
		}
		if l.obs.Fact != nil {
			l.obs.Fact(f)
		}
	}
	l.t.observer.expect(b.Expecting)
	if !l.started && l.core.Summary().Started {
		l.started = true
		l.t.health.started.Store(true)
	}
	if b.Done && !l.done {
		l.done = true
		close(l.t.finished)
	}
	l.checkDrained()
}

// acknowledge answers those whose events have no grant: that they were committed is the answer.
func (l *loop) acknowledge() {
	for i, w := range l.mail.waiters {
		if w == nil {
			continue
		}
		switch l.mail.events[i].Kind {
		case scaler.EvReload, scaler.EvDrain, scaler.EvShutdown, scaler.EvRevokeAll:
			if w := l.waiters.take(l.mail.events[i].Ticket); w != nil {
				w.tell(answer{})
			}
		}
	}
}

// leave answers everybody who is left, at the end. err is never nil. A second call finds nobody.
func (l *loop) leave(err error) {
	l.t.inbox.close()
	var last mail
	for some, _ := l.t.inbox.take(&last); some; some, _ = l.t.inbox.take(&last) {
		for i, w := range last.waiters {
			if w != nil && last.events[i].Kind != scaler.EvCancel {
				l.waiters.add(w)
			}
		}
		for _, q := range last.queries {
			q(l)
		}
		last.reset()
	}
	l.waiters.each(func(w *waiter) { w.tell(answer{err: err}) })
	l.waiters = waiters{}
	l.endDrains(err)
	for _, lease := range l.leases {
		lease.end(errors.Join(ErrShutdown, onlyStop(err)))
	}
	clear(l.leases)
}

// onlyStop is err if the manager stopped by itself, else nil.
func onlyStop(err error) error {
	var stop *StopError
	if errors.As(err, &stop) {
		return err
	}
	return nil
}
