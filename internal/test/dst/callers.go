package dst

import (
	"slices"
	"strconv"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// jobState is the state that a caller believes it is in.
type jobState uint8

const (
	jobIdle      jobState = iota
	jobReserving          // asked for a reservation
	jobReserved
	jobWaiting   // asked for a lease
	jobHolding   // was told that it has a lease
	jobReleasing // returned the lease and waits for the answer
	jobReturning // after a restart or a lost connection, it asked for its lease again
	jobDone
)

// action is what a job does next.
type action uint8

const (
	actBegin action = iota
	actAcquire
	actUnreserve
	actRace
	actCancel
	actEnd
	actReplace
	actDetach
	actReattach
	actDuplicate
	actRestart // resume what a restart interrupted
	actLate
	actGone
)

// request is a request without an answer so far.
type request struct {
	ticket uint64
	kind   scaler.EventKind
	blames record.Cause // what a release says of the machine
}

// job is one caller.
type job struct {
	no       int32
	state    jobState
	key      record.Key
	requests []request
	asked    uint64        // requests so far; tickets contain this number
	ticket   uint64        // ticket of the current wait
	deadline time.Duration // the caller's own deadline; 0: none
	hold     time.Duration
	on       *machine // the machine that it was told it has; nil: none
	serial   uint64
	slot     int
	use      int           // the ordinal of its use of the machine
	toldIn   uint64        // the batch in which it was told
	promised time.Duration // until when its reservation holds
	moving   bool          // it asked for another instance
	given    bool          // it gave up: if a lease still comes, it returns it at once
	was      jobState
	ends     bool          // its end is planned
	listed   bool          // in callers.live
	lost     uint64        // requests from before its connection was lost: their answers do not mean that it is back
	late     bool          // it may have lost its lease before its connection was lost again
	away     time.Duration // when the manager lost contact with it; 0: it is connected
	patience time.Duration // how long the manager then waits for it
}

// callers are all callers of a world.
type callers struct {
	jobs     []job
	live     []int32 // jobs in progress
	keys     []record.Key
	names    []record.ID
	nextJob  int
	jobLimit int
	active   int
	pollKeys [8]record.Key
	polling  [8]bool
	pollAsk  [8]uint64
	pollNo   [8]uint64
	closing  bool // no new jobs: finish
}

func (c *callers) reset() {
	for i := range c.jobs {
		c.jobs[i].requests = c.jobs[i].requests[:0]
	}
	c.jobs, c.live = c.jobs[:0], c.live[:0]
	c.nextJob, c.active, c.closing = 0, 0, false
	for n := range c.pollKeys {
		c.pollKeys[n], c.polling[n], c.pollAsk[n], c.pollNo[n] = record.Key("poller-"+strconv.Itoa(n)), false, 0, 0
	}
}

// plans starts the load.
func (w *world) plans() {
	w.jobLimit = 1 << 30
	if w.opts.small {
		w.jobLimit = 1 + w.dice.at(streamJob, 1<<40).below(3)
	}
	w.later(time.Second, itemArrival, 0, 0)
	for n := range w.setup.pollers {
		w.later(time.Duration(n+1)*700*time.Millisecond, itemPoller, n, 0)
	}
}

// arrive starts one job or a burst, and plans the next arrival.
func (w *world) arrive() {
	if w.closing || w.nextJob >= w.jobLimit {
		return
	}
	d := w.dice.at(streamJob, uint64(w.nextJob)|1<<41)
	next, n := w.setup.every, 1
	switch w.setup.load {
	case loadBursts:
		n = w.setup.burst
		next = d.span(time.Minute, 15*time.Minute)
	case loadDiurnal:
		minute := int(w.now.Mono/time.Minute) % 40
		if minute > 20 {
			minute = 40 - minute
		}
		next = d.span(next/4, next*time.Duration(1+20-minute)/2+time.Second)
	case loadQuiet:
		next = d.skewed(time.Minute, time.Hour)
	default:
		next = d.span(next/4, next*7/4)
	}
	for ; n > 0 && w.nextJob < w.jobLimit; n-- {
		w.newJob()
	}
	w.later(next, itemArrival, 0, 0)
}

func (w *world) newJob() {
	no := w.nextJob
	w.nextJob++
	for len(w.keys) <= no {
		w.keys = append(w.keys, record.Key("job-"+strconv.Itoa(len(w.keys)+1)))
	}
	if no < cap(w.jobs) {
		w.jobs = w.jobs[:no+1]
	} else {
		w.jobs = append(w.jobs, job{})
	}
	j := &w.jobs[no]
	*j = job{no: int32(no), key: w.keys[no], requests: j.requests[:0]}
	if w.opts.dropJobs != nil && w.opts.dropJobs[j.no] {
		j.state = jobDone
		return
	}
	w.active++
	j.listed = true
	w.live = append(w.live, j.no)
	w.act(j, actBegin)
}

// begin draws what the job needs, and requests it.
func (w *world) begin(j *job) {
	k := uint64(j.no)
	d := w.dice.at(streamJob, k)
	j.hold = d.skewed(time.Second, 3*w.setup.hold)
	reserve, patience, limit := d.below(4) == 0, d.span(time.Second, 5*time.Minute), d.below(3) == 0
	think := d.span(0, 30*time.Second)
	if reserve {
		j.state = jobReserving
		w.ask(j, scaler.EvReserve, record.CauseNone)
		j.hold += think
		return
	}
	if limit {
		j.deadline = w.now.Mono + patience
	}
	w.acquire(j)
	if w.hitAt(FaultCancels, k) {
		w.plan(j, w.dice.skewed(0, 2*time.Minute), actCancel)
	}
	if w.hitAt(FaultDuplicateAcquire, k) {
		w.plan(j, w.dice.skewed(0, time.Minute), actDuplicate)
	}
}

func (w *world) plan(j *job, d time.Duration, a action) { w.later(d, itemJob, int(j.no), uint8(a)) }

// ask sends a request of j. It returns the ticket of the answer.
func (w *world) ask(j *job, kind scaler.EventKind, cause record.Cause) uint64 {
	j.asked++
	ev := scaler.Event{Kind: kind, Key: j.key, Cause: cause, Ticket: uint64(j.no+1)<<16 | j.asked}
	if kind == scaler.EvRelease && j.no%2 == 0 { // by the handle of the latest lease that it was told of, not by its key alone
		ev.Serial, ev.Op = j.serial, uint64(j.use)
	}
	if kind == scaler.EvAcquire || kind == scaler.EvReplace {
		ev.Deadline = j.deadline
	}
	j.requests = append(j.requests, request{ev.Ticket, kind, cause})
	w.step(ev)
	return ev.Ticket
}

func (w *world) acquire(j *job) {
	j.state = jobWaiting
	if j.deadline != 0 && j.deadline <= w.now.Mono {
		j.deadline = w.now.Mono + time.Minute
	}
	j.ticket = uint64(j.no+1)<<16 | (j.asked + 1)
	w.ask(j, scaler.EvAcquire, record.CauseNone)
}

// act does what j planned, if that still makes sense.
func (w *world) act(j *job, a action) {
	if w.core == nil || j.state == jobDone && a != actLate {
		return
	}
	switch a {
	case actBegin:
		w.begin(j)
	case actAcquire:
		if j.state == jobReserved {
			w.acquire(j)
		}
	case actUnreserve:
		if j.state == jobReserved {
			w.step(scaler.Event{Kind: scaler.EvUnreserve, Key: j.key})
			w.done(j)
		}
	case actRace:
		w.race(j)
	case actCancel:
		if j.state == jobWaiting && !j.given {
			j.given = true
			w.step(scaler.Event{Kind: scaler.EvCancel, Key: j.key, Ticket: j.ticket})
		}
	case actDuplicate:
		if j.state == jobWaiting && len(j.requests) > 0 || j.state == jobHolding {
			w.ask(j, scaler.EvAcquire, record.CauseNone)
		}
	case actEnd:
		w.end(j)
	case actReplace:
		w.replace(j)
	case actDetach:
		if j.state == jobHolding {
			w.detach(j)
		}
	case actReattach, actRestart:
		w.comeBack(j)
	case actLate:
		w.relist(j)
		w.ask(j, scaler.EvRelease, record.CauseNone)
	case actGone: // it sends nothing more; the manager must end its lease
		if j.state == jobHolding {
			w.detach(j)
		}
	}
}

// detach tells the manager that j's connection is lost.
func (w *world) detach(j *job) {
	back := slices.ContainsFunc(j.requests, func(r request) bool { return r.kind == scaler.EvReattach })
	if j.away == 0 || back { // the manager knows that it was back
		j.late = j.away != 0 && w.now.Mono-j.away >= j.patience // it may have come back too late
		j.away, j.patience = w.now.Mono, w.cfg.ReattachAfterDisconnect
	}
	j.lost = j.asked
	w.step(scaler.Event{Kind: scaler.EvDetach, Key: j.key})
}

// race cancels a reservation and uses it, in either order.
func (w *world) race(j *job) {
	if j.state != jobReserved {
		return
	}
	undo := scaler.Event{Kind: scaler.EvUnreserve, Key: j.key}
	if j.no%2 == 0 {
		w.step(undo)
		w.acquire(j)
		return
	}
	w.acquire(j)
	w.step(undo)
}

// overtake gives j's lease back in the batch in which it was revoked, behind another acquire of its key.
func (w *world) overtake(j *job) {
	k := uint64(j.no)
	if j.state != jobHolding || !w.hitAt(FaultOvertaken, k) {
		return
	}
	w.ask(j, scaler.EvAcquire, record.CauseNone)
	if k%3 == 0 {
		w.end(j)
	} else {
		w.replace(j)
	}
}

// end returns the lease.
func (w *world) end(j *job) {
	if j.state != jobHolding {
		return
	}
	k, cause := uint64(j.no), record.CauseNone
	switch {
	case w.hitAt(FaultReleaseUnhealthy, k):
		cause = record.CauseUnhealthy
	case w.hitAt(FaultReleaseHostKey, k):
		cause = record.CauseChangedHostKey
	case w.hitAt(FaultReleaseDoubtful, k):
		cause = record.CauseDoubtful
	}
	if j.on != nil { // false: the lease was revoked and its caller was not told
		w.leave(j, w.now.Mono)
	}
	j.state = jobReleasing
	w.ask(j, scaler.EvRelease, cause)
	if w.hitAt(FaultDoubleRelease, k) {
		w.ask(j, scaler.EvRelease, record.CauseNone)
	}
	if w.hitAt(FaultLateRelease, k) {
		w.plan(j, w.dice.skewed(time.Second, time.Minute), actLate)
	}
}

// replace returns the lease and asks for one on another instance.
func (w *world) replace(j *job) {
	if j.state != jobHolding || j.moving {
		return
	}
	if j.on == nil {
		return
	}
	w.leave(j, w.now.Mono)
	// With max_instances 1 there is no other instance. Such a wait ends only at a deadline, which the shell always sets.
	j.state, j.moving, j.deadline = jobWaiting, true, w.now.Mono+10*time.Minute
	j.ticket = uint64(j.no+1)<<16 | (j.asked + 1)
	w.ask(j, scaler.EvReplace, record.CauseNone)
}

// comeBack asks for the lease that the caller had, or may have got.
func (w *world) comeBack(j *job) {
	switch j.state {
	case jobHolding, jobReturning:
		j.was = jobHolding
		if j.on == nil {
			j.was = jobWaiting
		}
		w.ask(j, scaler.EvReattach, record.CauseNone)
	case jobReleasing:
		if len(j.requests) == 0 {
			w.ask(j, scaler.EvRelease, record.CauseNone)
		}
	case jobWaiting:
		if len(j.requests) == 0 {
			w.acquire(j)
		}
	case jobReserved:
		w.acquire(j)
	}
}

// callersRestart is what callers do after a restart of the manager: those with a running job continue, those that waited ask again or ask
// what happened to their request.
func (w *world) callersRestart() {
	for n := range w.pollKeys {
		w.polling[n], w.pollAsk[n] = false, 0
	}
	for _, no := range w.live {
		j := &w.jobs[no]
		j.requests, j.promised = j.requests[:0], 0
		if j.state == jobDone {
			continue
		}
		if j.on != nil {
			w.stands(j)
		}
		j.away, j.patience = w.now.Mono, w.cfg.ReattachAfterRestart
		d := w.dice.at(streamRestart, uint64(w.life)<<32|uint64(no)|1<<62)
		wait, way := d.skewed(0, 2*time.Minute), d.below(4)
		if w.hit(FaultGivesUpAtRestart) {
			w.orphaned(j)
			w.done(j)
			continue
		}
		switch j.state {
		case jobReserving:
			j.state = jobReserved
		case jobReturning:
			j.state = j.was
		}
		if j.state == jobWaiting && way > 0 {
			j.state, j.was = jobReturning, jobWaiting
		}
		j.given = false
		w.plan(j, wait, actRestart)
		if j.state == jobReserved {
			continue
		}
		w.plan(j, wait+j.hold, actEnd)
	}
}

// orphaned makes j a caller without a lease.
func (w *world) orphaned(j *job) {
	if j.on != nil {
		w.leave(j, w.now.Mono)
		if j.state == jobHolding || j.state == jobReturning {
			w.done(j)
		}
	}
}

func (w *world) done(j *job) {
	if j.state != jobDone {
		j.state = jobDone
		w.active--
	}
}
