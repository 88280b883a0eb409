package simulate

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// waitCauses are the causes that a wait can have. The list is short because each job carries one number for each cause. A test in
// internal/test/dst compares it with the causes that the core gives.
var waitCauses = [...]record.Cause{
	record.CauseNone, record.CauseBoot, record.CauseThrottle, record.CauseMaxInstances, record.CauseQuota, record.CauseStockOut, record.CauseBackoff,
	record.CausePlugin, record.CausePolicy, record.CauseConfig, record.CauseForeign, record.CauseNoCapacity, record.CauseConfirming, record.CauseThrottledAPI,
	record.CauseBreaker, record.CauseLists, record.CauseProviderLimit,
}

// causeAt maps a cause to its index in waitCauses. A cause that is not in the list maps to 0.
var causeAt = func() (at [256]uint8) {
	for i, c := range waitCauses {
		at[c] = uint8(i)
	}
	return at
}()

// spent is time, in seconds, by cause.
type spent [len(waitCauses)]float64

// add counts sec for cause c.
func (s *spent) add(c record.Cause, sec float64) { s[causeAt[c]] += sec }

// plus adds the increase of the integral from mark to now.
func (s *spent) plus(now, mark *spent) {
	for c := range s {
		s[c] += now[c] - mark[c]
	}
}

// account collects the figures of a run. Nothing before the end of the warm-up counts.
type account struct {
	o        *Options
	from     int64 // end of the warm-up
	tags     []string
	capacity int64

	arrivedN, done, kills, denials       int
	created, deleted, peak, unproductive int
	reclaimed, died                      int

	waits            waits
	hour             uint8 // of the day, from hourFrom to hourTo
	hourFrom, hourTo int64
	service          float64 // slot-seconds given to runs, killed ones included
	lostSec          float64 // of these, slot-seconds given to runs that were killed
	byCause          spent
	inside           spent   // integrals of each cause's share of the jobs that wait inside the core
	outside          spent   // the same for the jobs that wait outside
	marks            []spent // by job: the integral when it began to wait
	own              []spent // by job: how long it waited, by cause

	count    [phases]int
	seconds  [phases]float64
	cost     float64
	busySec  float64 // slot-seconds in use
	bound    bound
	line     *recorder
	policies []PolicyEdge
}

func (a *account) begin(o *Options, tags []string) {
	*a = account{o: o, from: int64(o.Warmup), tags: tags, capacity: int64(max(o.Group.CapacityPerInstance, 1))}
	if len(a.tags) == 0 {
		a.tags = []string{""}
	}
	a.waits.exact = o.Exact
	a.bound.capacity, a.bound.from = a.capacity, a.from
	if o.Timeline > 0 {
		a.line = newRecorder(o.Timeline)
	}
	a.policies = []PolicyEdge{{At: 0, Policy: o.Group.Policies.At(o.Start).Index}}
}

// clip is the part of a span that lies after the warm-up, in seconds.
func (a *account) clip(from, to int64) float64 {
	if from = max(from, a.from); to <= from {
		return 0
	}
	return float64(to-from) / 1e9
}

// pass accounts for the time from now to at. The state does not change in this time.
func (a *account) pass(e *engine, at int64) {
	dt := a.clip(e.now, at)
	waiting, booting, cause := e.core.Waits()
	sec := float64(at-e.now) / 1e9
	if waiting > 0 {
		share := sec / float64(waiting)
		a.inside.add(record.CauseBoot, share*float64(booting))
		a.inside.add(cause, share*float64(waiting-booting))
	}
	if e.outside.len() > 0 {
		a.outside.add(e.outsideCause(), sec)
	}
	a.busySec += dt * float64(e.busy)
	a.bound.pass(dt, int64(e.busy))
	if a.line != nil {
		a.line.pass(e, at, waiting)
	}
}

// outsideCause is the cause of the wait of a job that the runner has not taken yet.
func (e *engine) outsideCause() record.Cause {
	s := e.core.Summary()
	switch {
	case e.o.Concurrent > 0 && e.inside >= e.o.Concurrent:
		return record.CauseNoCapacity
	case s.Creating+s.Preparing+s.Requested > 0:
		return record.CauseBoot
	case s.BackoffFor > 0:
		return s.BackoffCause
	case s.Breaker:
		return record.CauseBreaker
	case s.MaxInstances > 0 && s.Decision.Room == 0 && s.Decision.RoomBy == policy.BoundProviderMax:
		return record.CauseProviderLimit
	case s.MaxInstances > 0 && s.Decision.Room == 0:
		return record.CauseMaxInstances
	}
	return record.CausePolicy
}

func (a *account) arrived(e *engine, i int32) {
	j := &e.jobs[i]
	for len(a.marks) < len(e.jobs) {
		a.marks, a.own = append(a.marks, spent{}), append(a.own, spent{})
	}
	a.marks[i], a.own[i] = a.outside, spent{}
	a.bound.arrive(j.arrival, j.duration)
	if j.measured {
		a.arrivedN++
	}
}

// offered moves a job's account from outside to inside.
func (a *account) offered(e *engine, i int32) {
	if e.jobs[i].arrival != e.now {
		a.own[i].plus(&a.outside, &a.marks[i])
	}
	a.marks[i] = a.inside
}

// started records that a job got its slot. Only the time until its first start is a wait.
func (a *account) started(e *engine, i int32) {
	j := &e.jobs[i]
	if j.began {
		return
	}
	j.began = true
	if j.wait = e.now - j.arrival; j.wait > 0 {
		a.own[i].plus(&a.inside, &a.marks[i])
	}
	if j.measured {
		j.place = a.waits.add(j.wait, j.tag, a.hourOf(j.arrival))
	}
}

// hourOf is the hour of the day at a moment. Moments come nearly in order, so the calendar is asked only about once an hour.
func (a *account) hourOf(at int64) uint8 {
	if at < a.hourFrom || at >= a.hourTo {
		t := a.o.Start.Add(time.Duration(at))
		into := int64(t.Minute())*int64(time.Minute) + int64(t.Second())*int64(time.Second) + int64(t.Nanosecond())
		a.hour, a.hourFrom = uint8(t.Hour()), at-into
		a.hourTo = a.hourFrom + int64(time.Hour)
		if _, end := t.ZoneBounds(); !end.IsZero() && end.Sub(a.o.Start) > time.Duration(at) {
			a.hourTo = min(a.hourTo, int64(end.Sub(a.o.Start))) // the clock changes
		}
		a.hourFrom = at // a clock change may lie before it
	}
	return a.hour
}

func (a *account) finished(e *engine, i int32) {
	j := &e.jobs[i]
	if j.measured {
		a.done++
		if j.wait > 0 {
			a.byCause.plus(&a.own[i], &spent{})
		}
	}
	a.service += a.clip(j.start, e.now)
}

func (a *account) killed(e *engine, j *job) {
	sec := a.clip(j.start, e.now)
	a.kills++
	a.lostSec += sec
	a.service += sec
}

func (a *account) phase(p phase, from, to int64) { a.seconds[p] += a.clip(from, to) }

// gone closes a machine's account.
func (a *account) gone(e *engine, m *machine, why cloudmodel.EventKind) {
	switch why {
	case cloudmodel.WasDeleted:
		a.deleted++
	case cloudmodel.WasReclaimed:
		a.reclaimed++
	default:
		a.died++
	}
	a.close(e, m)
}

func (a *account) close(e *engine, m *machine) {
	a.phase(m.phase, m.since, e.now)
	a.count[m.phase]--
	if !m.used {
		a.unproductive++
	}
	if life := e.now - max(m.created, a.from); life > 0 {
		a.cost += a.o.Cloud.Price.Cost(time.Duration(life))
	}
}

func (a *account) policy(at int64, index int) {
	a.policies = append(a.policies, PolicyEdge{At: time.Duration(at), Policy: index})
}

// bound is a lower bound of instance-hours: a scheduler that knows every job in advance and has each machine for exactly as long as it
// needs it. A fleet of the same capacity cannot serve the same jobs with fewer instance-hours.
type bound struct {
	capacity int64
	from     int64   // earlier times do not count
	atStarts float64 // instance-seconds when each job starts at its simulated start
	atOnce   float64 // instance-seconds when each job starts at its arrival
	ends     []int64 // min-heap of the ends of jobs that start at their arrival
	last     int64
}

func (b *bound) pass(dt float64, busy int64) {
	if busy > 0 {
		b.atStarts += dt * float64((busy+b.capacity-1)/b.capacity)
	}
}

func (b *bound) until(t int64) {
	for len(b.ends) > 0 && b.ends[0] <= t {
		b.over(b.ends[0])
		b.pop()
	}
	b.over(t)
}

// finish runs all remaining jobs to their ends.
func (b *bound) finish() {
	for len(b.ends) > 0 {
		b.over(b.ends[0])
		b.pop()
	}
}

func (b *bound) over(t int64) {
	if n := int64(len(b.ends)); n > 0 {
		b.atOnce += float64(max(t-max(b.last, b.from), 0)) / 1e9 * float64((n+b.capacity-1)/b.capacity)
	}
	b.last = t
}

func (b *bound) arrive(at, duration int64) {
	b.until(at)
	b.ends = append(b.ends, at+duration)
	for i := len(b.ends) - 1; i > 0; {
		p := (i - 1) / 2
		if b.ends[p] <= b.ends[i] {
			break
		}
		b.ends[p], b.ends[i] = b.ends[i], b.ends[p]
		i = p
	}
}

func (b *bound) pop() {
	n := len(b.ends) - 1
	b.ends[0] = b.ends[n]
	b.ends = b.ends[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return
		}
		if c+1 < n && b.ends[c+1] < b.ends[c] {
			c++
		}
		if b.ends[i] <= b.ends[c] {
			return
		}
		b.ends[i], b.ends[c] = b.ends[c], b.ends[i]
		i = c
	}
}
