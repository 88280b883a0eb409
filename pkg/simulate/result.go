package simulate

import (
	"cmp"
	"slices"
	"time"
)

// Result holds the figures of a run. Times are in seconds and fleet sizes in instance-hours. Jobs that arrived during the warm-up are not
// counted.
type Result struct {
	Seed  uint64
	Start time.Time
	End   time.Duration // when the last job ended, or when the run was stopped

	Arrived, Completed int
	Censored           int // jobs that had not ended at the end of the run; the waits leave them out
	Kills              int // runs that a reclaim or a failed instance ended early; the jobs started again
	Denials            int // requests that preemptive mode refused

	Waits     Waits
	ByCause   []CauseTime // largest first
	ByTag     []Slice     // only while waits are exact
	ByHour    []Slice     // by hour of arrival, in the zone of Start
	Instances Instances
	Hours     Hours
	BusySlots float64 // slot-hours in use
	LostSlots float64 // of these, slot-hours of runs that were killed
	Capacity  int
	// Utilization is BusySlots ÷ (instance-hours × capacity).
	Utilization float64
	Cost        Cost
	Bound       Bound
	Timeline    *Timeline
	Policies    []PolicyEdge
	Events      int64 // events that the core received
}

// CauseTime is how long all jobs together waited for one cause.
type CauseTime struct {
	Cause   string
	Seconds float64
}

// Instances counts machines.
type Instances struct {
	Created, Deleted, Peak int
	Unproductive           int // instances that never ran a job
	Reclaimed              int // taken back by the provider (spot)
	Died                   int // gone for another reason, without a delete
}

// Hours is instance-hours by what the instance did. Total is the sum.
type Hours struct {
	Total, Busy, Idle, Boot, Drain float64
}

// Cost is in the currency of the price.
type Cost struct {
	Total, PerJob float64
	IdleShare     float64 // share of the instance-hours in which no job ran
}

// Bound is the lowest possible number of instance-hours: a fleet of the same capacity that knows all jobs in advance needs this much.
type Bound struct {
	AtStarts float64 // when each job starts at its simulated start
	AtOnce   float64 // when each job starts at its arrival
}

// result computes the figures at the end of the run.
func (e *engine) result() *Result {
	a := &e.acc
	e.machines.each(func(m *machine) { a.close(e, m) })
	a.bound.finish()
	a.waits.drop(e.unfinished())
	const hour = 3600
	r := &Result{
		Seed: e.o.Seed, Start: e.o.Start, End: time.Duration(e.now), Arrived: a.arrivedN, Completed: a.done, Censored: a.arrivedN - a.done,
		Kills: a.kills, Denials: a.denials, Waits: a.waits.result(), ByCause: a.causes(),
		Instances: Instances{Created: a.created, Deleted: a.deleted, Peak: a.peak, Unproductive: a.unproductive, Reclaimed: a.reclaimed, Died: a.died},
		Hours: Hours{Busy: a.seconds[phaseBusy] / hour, Idle: a.seconds[phaseIdle] / hour, Boot: a.seconds[phaseBoot] / hour,
			Drain: a.seconds[phaseDrain] / hour},
		BusySlots: a.busySec / hour, LostSlots: a.lostSec / hour, Capacity: int(a.capacity),
		Bound: Bound{AtStarts: a.bound.atStarts / hour, AtOnce: a.bound.atOnce / hour}, Policies: a.policies, Events: e.events,
	}
	r.Hours.Total = r.Hours.Busy + r.Hours.Idle + r.Hours.Boot + r.Hours.Drain
	r.Cost.Total = a.cost
	if r.Completed > 0 {
		r.Cost.PerJob = a.cost / float64(r.Completed)
	}
	if r.Hours.Total > 0 {
		r.Utilization = r.BusySlots / (r.Hours.Total * float64(a.capacity))
		r.Cost.IdleShare = (r.Hours.Total - r.Hours.Busy) / r.Hours.Total
	}
	if a.waits.hist == nil {
		for n, part := range a.waits.by(len(a.tags), func(i int) int { return int(a.waits.tag[i]) }) {
			if len(part) > 0 {
				r.ByTag = append(r.ByTag, sliceOf(a.tags[n], part))
			}
		}
		for n, part := range a.waits.by(24, func(i int) int { return int(a.waits.hour[i]) }) {
			r.ByHour = append(r.ByHour, sliceOf(time.Date(2000, 1, 1, n, 0, 0, 0, time.UTC).Format("15:04"), part))
		}
	}
	if a.line != nil {
		r.Timeline = a.line.result(e.now)
	}
	return r
}

func (a *account) causes() []CauseTime {
	var all []CauseTime
	for c, sec := range a.byCause {
		if sec > 1e-6 {
			all = append(all, CauseTime{Cause: waitCauses[c].String(), Seconds: sec})
		}
	}
	slices.SortStableFunc(all, func(x, y CauseTime) int { return cmp.Compare(y.Seconds, x.Seconds) })
	return all
}

// unfinished lists the waits (by index) of jobs that started and did not end.
func (e *engine) unfinished() (places []int) {
	free := make([]bool, len(e.jobs))
	for _, i := range e.idle {
		free[i] = true
	}
	for i := range e.jobs {
		if j := &e.jobs[i]; !free[i] && j.began && j.measured {
			places = append(places, j.place)
		}
	}
	return places
}
