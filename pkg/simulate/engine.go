package simulate

import (
	"fmt"
	"math"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// never is later than every moment.
const never = math.MaxInt64

// longest bounds the times in a workload, so that the sum of a few of them cannot overflow.
const longest = 100 * 365 * 24 * time.Hour

// engine is one run. Times are nanoseconds from the start of the run.
type engine struct {
	o     Options
	core  *scaler.Core
	audit *auditor // nil: no checks
	cloud *cloudmodel.Cloud
	ready cloudmodel.Sampler
	input Workload

	now    int64
	heap   heap
	wakeAt int64
	next   Job // the next arrival
	more   bool
	read   int // jobs read so far

	last    int64 // the last arrival or end of a job
	longest int64 // duration of the longest job so far

	answers []scaler.Event // results of commands in progress; spare links the unused entries
	spare   []int32

	jobs       []job
	idle       []int32  // unused entries of jobs
	outside    jobQueue // arrived, not yet offered to the core
	inside     int      // jobs that the runner has taken and that have not ended
	busy       int      // jobs that run
	polling    bool     // a poll is in the heap
	denied     bool     // the core refused the last request
	preemptive bool     // the policy in force
	retry      []int32  // killed jobs that need a new request

	machines table      // by the cloud's number of the instance
	bySerial table      // by the core's serial
	changed  []*machine // machines whose change no list has shown yet
	shown    []*machine // a spare buffer for changed
	listAt   int64      // when the list in the heap is due
	listTurn uint16
	lastList int64
	expects  bool
	diffs    []cloudmodel.Event

	events int64
	acc    account
}

// Run simulates a workload with these options.
//
// Errors: those of Options.Validate; *WorkloadError; ErrStopped; with Options.Check, a broken invariant of the core.
func Run(o Options, w Workload) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	o = o.withDefaults()
	e := &engine{o: o, input: w, wakeAt: never}
	var err error
	if e.cloud, err = cloudmodel.New(o.Cloud, o.Seed); err != nil {
		return nil, fmt.Errorf("simulate: the cloud: %w", err)
	}
	if e.ready, err = o.Ready.Sampler(); err != nil {
		return nil, fmt.Errorf("simulate: ready: %w", err)
	}
	if o.Group.ProviderMax == 0 {
		o.Group.ProviderMax = o.Cloud.MaxSize
	}
	core := o.Group.core(o.UpdateInterval)
	if e.core, err = scaler.New(core, record.Saved{}, true, e.time()); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	if o.Check {
		e.audit = newAuditor(e.core, core)
	}
	e.acc.begin(&e.o, w.Tags())
	e.preemptive = o.Group.Policies.At(o.Start).Settings.Preemptive
	if err := e.play(); err != nil {
		return nil, err
	}
	return e.result(), nil
}

// time is the current moment on both clocks.
func (e *engine) time() scaler.Time {
	return scaler.Time{Mono: time.Duration(e.now), Wall: e.o.Start.Add(time.Duration(e.now))}
}

// play handles events in order until every job has ended, or until no event is left that could end one.
func (e *engine) play() error {
	if err := e.read1(); err != nil {
		return err
	}
	if err := e.list(); err != nil { // the provider's first list: an empty group
		return err
	}
	for n := 0; ; n++ {
		if n&0xfff == 0 && e.o.Progress != nil && !e.o.Progress(e.acc.done, time.Duration(e.now)) {
			return ErrStopped
		}
		if !e.more && e.inside == 0 && e.outside.len() == 0 {
			return nil
		}
		at, source := e.earliest()
		if at == never || !e.more && at > e.last+e.longest+int64(e.o.Patience) {
			return nil // the jobs that remain are censored
		}
		e.advance(at)
		if err := e.handle(source); err != nil {
			return err
		}
	}
}

// The sources of events. Events of the same instant are handled in this order.
const (
	fromCloud = iota
	fromHeap
	fromArrival
	fromWake
)

// earliest is the time and the source of the next event.
func (e *engine) earliest() (int64, int) {
	at, source := e.wakeAt, fromWake
	if e.more && int64(e.next.Arrival) <= at {
		at, source = int64(e.next.Arrival), fromArrival
	}
	if len(e.heap.a) > 0 && e.heap.a[0].at <= at {
		at, source = e.heap.a[0].at, fromHeap
	}
	if t, ok := e.cloud.Next(); ok && int64(t) <= at {
		at, source = int64(t), fromCloud
	}
	return at, source
}

// advance moves the time forward and accounts for it.
func (e *engine) advance(at int64) {
	if at > e.now {
		e.acc.pass(e, at)
		e.now = at
	}
}

func (e *engine) handle(source int) error {
	switch source {
	case fromCloud:
		return e.cloudChanged()
	case fromArrival:
		return e.arrive()
	case fromWake:
		e.wakeAt = never
		if err := e.step(scaler.Event{Kind: scaler.EvWake}); err != nil {
			return err
		}
		return e.after()
	}
	switch ev := e.heap.pop(); ev.kind {
	case kindAnswer:
		answer := e.answers[ev.idx]
		e.spare = append(e.spare, ev.idx)
		if e.o.Instant && answer.Kind == scaler.EvDeleted { // with Instant, a deleted instance is known to be gone at once, not at the next list
			e.listNext(e.now)
		}
		if err := e.step(e.late(answer)); err != nil {
			return err
		}
		return e.after()
	case kindJobDone:
		if j := &e.jobs[ev.idx]; j.turn == ev.turn {
			return e.jobDone(ev.idx)
		}
	case kindList:
		if ev.turn == e.listTurn {
			return e.list()
		}
	case kindPoll:
		e.polling = false
		return e.offer()
	}
	return nil
}

// step gives the core one event and carries out the result.
func (e *engine) step(ev scaler.Event) error {
	e.events++
	e.core.Step(e.time(), ev)
	b := e.core.Take()
	if b.Bug != nil {
		return fmt.Errorf("simulate: at %s: %w", time.Duration(e.now), b.Bug)
	}
	if e.audit != nil {
		if err := e.audit.check(b, time.Duration(e.now)); err != nil {
			return fmt.Errorf("simulate: at %s, after %+v: %w", time.Duration(e.now), ev, err)
		}
	}
	e.use(b)
	return nil
}

// use carries out a batch: answers first, then commands, facts, and the next wake-up.
func (e *engine) use(b *scaler.Batch) {
	for i := range b.Grants {
		e.granted(&b.Grants[i])
	}
	for i := range b.Commands {
		e.command(&b.Commands[i])
	}
	for i := range b.Facts {
		e.fact(&b.Facts[i])
	}
	e.wakeAt = never
	if b.Wake > 0 {
		e.wakeAt = int64(b.Wake)
	}
	if b.Expecting && !e.expects {
		e.expects = true
		e.hurry()
	}
	e.expects = b.Expecting
}

// answer schedules the result of a command.
func (e *engine) answer(delay time.Duration, ev scaler.Event) {
	n := len(e.spare)
	if n == 0 {
		e.answers = append(e.answers, ev)
		e.heap.push(event{at: e.now + int64(delay), kind: kindAnswer, idx: int32(len(e.answers) - 1)})
		return
	}
	i := e.spare[n-1]
	e.spare = e.spare[:n-1]
	e.answers[i] = ev
	e.heap.push(event{at: e.now + int64(delay), kind: kindAnswer, idx: i})
}
