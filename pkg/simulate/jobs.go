package simulate

import (
	"strconv"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// job is a job that has arrived and has not ended. Entries and their keys are reused, so that memory grows only with the number of such
// jobs.
type job struct {
	key      record.Key
	arrival  int64
	duration int64
	on       *machine // the machine it runs on; nil: it waits
	turn     uint16   // grows by one with each start and each reuse
	tag      uint16
	measured bool
	began    bool  // it has started before: its wait is known
	start    int64 // start of the current run
	wait     int64 // wait until the first start
	place    int   // index of the wait in account.waits
}

// jobQueue is a first-in first-out queue of indexes.
type jobQueue struct {
	a    []int32
	head int
}

func (q *jobQueue) len() int     { return len(q.a) - q.head }
func (q *jobQueue) first() int32 { return q.a[q.head] }
func (q *jobQueue) push(i int32) { q.a = append(q.a, i) }
func (q *jobQueue) pop() {
	if q.head++; q.head > 1024 && q.head*2 > len(q.a) {
		q.a = q.a[:copy(q.a, q.a[q.head:])]
		q.head = 0
	}
}

// read1 reads the next job of the workload.
func (e *engine) read1() error {
	j, ok := e.input.Next()
	if !ok {
		e.more = false
		return nil
	}
	e.read++
	switch {
	case j.Arrival < e.next.Arrival:
		return &WorkloadError{Job: e.read, Reason: "arrives at " + j.Arrival.String() + ", before the job ahead of it (" + e.next.Arrival.String() + ")"}
	case j.Arrival > longest || j.Duration > longest:
		return &WorkloadError{Job: e.read, Reason: "arrives at " + j.Arrival.String() + " and runs for " + j.Duration.String() +
			": the limit is a hundred years"}
	case j.Duration < 0:
		return &WorkloadError{Job: e.read, Reason: "its duration is negative: " + j.Duration.String()}
	case j.Tag < 0 || j.Tag >= len(e.acc.tags):
		return &WorkloadError{Job: e.read, Reason: "it has an unknown tag"}
	}
	e.next, e.more, e.last = j, true, max(e.last, int64(j.Arrival))
	e.longest = max(e.longest, int64(j.Duration))
	return nil
}

func (e *engine) arrive() error {
	i := e.newJob()
	if err := e.read1(); err != nil {
		return err
	}
	e.outside.push(i)
	e.acc.arrived(e, i)
	if e.o.CheckInterval > 0 {
		if !e.polling { // polls are on a fixed grid; only polls that find a job are simulated
			e.polling = true
			grid := int64(e.o.CheckInterval)
			e.heap.push(event{at: (e.now + grid - 1) / grid * grid, kind: kindPoll})
		}
		return nil
	}
	return e.offer()
}

func (e *engine) newJob() int32 {
	var i int32
	if n := len(e.idle); n > 0 {
		i = e.idle[n-1]
		e.idle = e.idle[:n-1]
	} else {
		i = int32(len(e.jobs))
		e.jobs = append(e.jobs, job{key: record.Key("job-" + strconv.Itoa(int(i)))})
	}
	j := &e.jobs[i]
	*j = job{key: j.key, turn: j.turn + 1, arrival: e.now, duration: int64(e.next.Duration), tag: uint16(e.next.Tag),
		measured: e.now >= int64(e.o.Warmup)}
	return i
}

// offer lets the runner take the jobs that wait outside, up to concurrent. In preemptive mode the runner takes a job only if a slot is free
// at this moment.
func (e *engine) offer() error {
	for e.outside.len() > 0 && (e.o.Concurrent == 0 || e.inside < e.o.Concurrent) {
		i := e.outside.first()
		if e.preemptive {
			if e.core.OpenSlots() == 0 {
				break
			}
			if err := e.step(scaler.Event{Kind: scaler.EvReserve, Key: e.jobs[i].key, Ticket: uint64(i) + 1}); err != nil {
				return err
			}
			if e.denied {
				e.denied = false
				e.acc.denials++
				break
			}
		}
		e.outside.pop()
		e.inside++
		e.acc.offered(e, i)
		if err := e.step(scaler.Event{Kind: scaler.EvAcquire, Key: e.jobs[i].key, Ticket: uint64(i) + 1}); err != nil {
			return err
		}
	}
	if e.outside.len() > 0 && e.o.CheckInterval > 0 && !e.polling {
		e.polling = true
		e.heap.push(event{at: e.now + int64(e.o.CheckInterval), kind: kindPoll})
	}
	return nil
}

// granted handles an answer of the core.
func (e *engine) granted(g *scaler.Grant) {
	switch g.Kind {
	case scaler.GrantLease:
		i := int32(g.Ticket - 1)
		j := &e.jobs[i]
		j.turn++
		j.on, j.start = e.bySerial.get(g.Serial), e.now
		if j.on == nil { // the machine is gone and no list has shown that yet: the job's connection fails at once
			e.heap.push(event{at: e.now, kind: kindJobDone, idx: i, turn: j.turn})
			return
		}
		e.acc.started(e, i)
		j.on.take(e, i)
		e.busy++
		e.heap.push(event{at: e.now + j.duration, kind: kindJobDone, idx: i, turn: j.turn})
	case scaler.GrantDenied:
		e.denied = true
	case scaler.GrantRevoked:
		n, err := strconv.Atoi(string(g.Key[len("job-"):]))
		if err != nil {
			return
		}
		if j := &e.jobs[n]; j.on != nil {
			e.killed(int32(n))
		} else { // the job could not connect and did not run
			j.turn++
		}
		e.retry = append(e.retry, int32(n))
	}
}

// killed takes an unfinished job off its machine. The job has to start again from zero.
func (e *engine) killed(i int32) {
	j := &e.jobs[i]
	j.turn++
	e.acc.killed(e, j)
	j.on.give(e, i)
	j.on = nil
	e.busy--
}

// copied, because the core owns and reuses the memory of r
func (e *engine) nobodyThere(i int32) error {
	j := &e.jobs[i]
	j.turn++
	if err := e.step(scaler.Event{Kind: scaler.EvRelease, Key: j.key, Ticket: uint64(i) + 1, Cause: record.CauseUnhealthy}); err != nil {
		return err
	}
	e.retry = append(e.retry, i)
	return e.after()
}

func (e *engine) jobDone(i int32) error {
	j := &e.jobs[i]
	if j.on == nil {
		return e.nobodyThere(i)
	}
	j.turn++
	j.on.give(e, i)
	j.on = nil
	e.busy--
	e.inside--
	e.last = max(e.last, e.now)
	e.acc.finished(e, i)
	if err := e.step(scaler.Event{Kind: scaler.EvRelease, Key: j.key, Ticket: uint64(i) + 1}); err != nil {
		return err
	}
	e.idle = append(e.idle, i)
	return e.after()
}

// after requests a new slot for killed jobs, then offers the jobs that wait outside, because the state may have changed.
func (e *engine) after() error {
	for len(e.retry) > 0 {
		i := e.retry[0]
		e.retry = e.retry[1:]
		if err := e.step(scaler.Event{Kind: scaler.EvAcquire, Key: e.jobs[i].key, Ticket: uint64(i) + 1}); err != nil {
			return err
		}
	}
	if e.outside.len() > 0 && e.o.CheckInterval == 0 {
		return e.offer()
	}
	return nil
}
