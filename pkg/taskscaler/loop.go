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

// recheck is the longest time between two steps. Each step gives the core the wall clock, so the core notices a jump of that clock.
const recheck = 30 * time.Second

// decider is what the loop needs of a core. *scaler.Core is the only implementation.
type decider interface {
	Step(now scaler.Time, ev scaler.Event)
	Take() *scaler.Batch
}

var _ decider = (*scaler.Core)(nil)

// loop is the goroutine that owns the core. It holds mu, which guards the fields, except while it commits.
type loop struct {
	mu      sync.Mutex
	t       *Taskscaler
	core    *scaler.Core
	obs     observe.Observer
	mail    mail
	waiters waiters
	leases  map[record.Key]*Lease
	moved   []*Lease // leases that an EvReplace of this batch gives back

	begun   bool          // at least one step was made
	last    time.Duration // Mono of the last step
	wake    time.Duration // when the core wants the next step, on Mono; 0: at no particular time
	timer   *time.Timer
	armed   time.Duration // when timer fires, on Mono; 0: it is not set
	started bool
	done    bool

	before   scaler.Summary // from before the batch that is being committed
	trouble  *trouble       // why the last commit failed; nil: it succeeded
	drainers []*drainer
	inspect  func(*scaler.Batch) // for tests: receives each batch before its commit; may be nil
}

// run processes the mail until the inbox is closed and empty, or until an error stops the manager. Then it answers the remaining callers.
func (l *loop) run() {
	l.mu.Lock()
	l.t.inbox.tick() // the first step returns when the core wants the next one
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

// abandon stops the manager and answers the remaining callers, in place of a loop that hangs in a commit.
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
		// Let other callers run first, so that they can add their events to this batch. Otherwise the loop and one caller can take turns on
		// one thread, with batches of one event each, while the other callers wait for the Go scheduler.
		runtime.Gosched()
	}
}

// round processes the mail that was taken from the inbox.
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
	if l.mail.doubted {
		return l.checkStore()
	}
	return nil
}

// ticket gives each caller a ticket and sets missing deadlines. It drops cancellations of calls that are already answered.
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
		case scaler.EvDetach:
			if lease := l.leases[ev.Key]; lease != nil {
				lease.detached = true
			}
		}
		if n != i {
			m.events[n], m.waiters[n] = *ev, w
		}
		n++
	}
	m.events, m.waiters = m.events[:n], m.waiters[:n]
}

// step passes the events of the mail to the core, all with the same time. Then it treats the batch in the order that scaler.Batch
// prescribes: commit first, effects afterwards.
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
		return &StopError{Reason: "it found a bug in itself and did not commit the result, so the stored state is intact; report the bug, then start taskscaler again",
			Err: batch.Bug}
	}
	if err := l.commit(batch); err != nil {
		return err
	}
	l.dispatch(batch)
	l.wake = batch.Wake
	l.arm(now.Mono)
	return nil
}

// due returns the time on Mono at which the loop must step even without mail.
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

// arm sets the timer to the due time. A timer that fires earlier is not changed: when it fires, arm is called again.
func (l *loop) arm(mono time.Duration) {
	due := l.due()
	if l.armed != 0 && l.armed <= due {
		return
	}
	l.armed = due
	l.timer.Reset(max(due-mono, 1)) // in a bubble of testing/synctest, 0 fires within Reset, and the race detector of Go 1.26 crashes there now and then
}

// dispatch carries out a committed batch: answers first, then commands, then facts. So the caller of a revoked lease is told before the
// delete of its instance is sent.
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

// acknowledge answers the callers whose events get no grant. For them, the commit is the answer. What the commit means for the shell is done
// here, because the caller may have given up.
func (l *loop) acknowledge() {
	for i, w := range l.mail.waiters {
		if w == nil {
			continue
		}
		switch l.mail.events[i].Kind {
		case scaler.EvReload, scaler.EvDrain, scaler.EvShutdown, scaler.EvRevokeAll:
			if w.effect != nil {
				w.effect()
			}
			if w := l.waiters.take(l.mail.events[i].Ticket); w != nil {
				w.tell(answer{})
			}
		}
	}
}

// leave answers all remaining callers with err, which is never nil, and ends all leases. A second call has no effect.
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
	for _, lease := range l.leases { // first, so that no caller can know of the end before the holders do
		lease.end(errors.Join(ErrShutdown, onlyStop(err)))
	}
	clear(l.leases)
	l.waiters.each(func(w *waiter) { w.tell(answer{err: err}) })
	l.waiters = waiters{}
	l.endDrains(err)
}

// onlyStop returns err if the manager stopped itself, and nil after a shutdown.
func onlyStop(err error) error {
	var stop *StopError
	if errors.As(err, &stop) {
		return err
	}
	return nil
}
