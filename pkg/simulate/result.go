package simulate

import (
	"cmp"
	"slices"
	"time"
)

// Result is what became of a workload. Times are in seconds, fleets in instance-hours; jobs that arrived in the warm-up are in no figure.
type Result struct {
	Seed  uint64
	Start time.Time
	End   time.Duration // when the last job ended, or the run

	Arrived, Completed int
	Censored           int // jobs that had not ended when the run did; they are in no wait
	Kills              int // runs that were cut off by a reclaim or a death, and started again
	Denials            int // requests that preemptive mode refused

	Waits     Waits
	ByCause   []CauseTime // largest first
	ByTag     []Slice     // exact waits only
	ByHour    []Slice     // hour of arrival, in Start's zone
	Instances Instances
	Hours     Hours
	BusySlots float64 // slot-hours in use
	LostSlots float64 // of them, by runs that were killed
	Capacity  int
	// Utilization is BusySlots ÷ (instance-hours × capacity).
	Utilization float64
	Cost        Cost
	Bound       Bound
	Timeline    *Timeline
	Policies    []PolicyEdge
	Events      int64 // that the core was told
}

// CauseTime is how long jobs waited for one cause, all jobs together.
type CauseTime struct {
	Cause   string
	Seconds float64
}

// Instances counts machines.
type Instances struct {
	Created, Deleted, Peak int
	Unproductive           int // never ran a job
	Reclaimed              int // spot
	Died                   int // went away by themselves otherwise
}

// Hours is instance-hours by what the machine did; Total is their sum.
type Hours struct {
	Total, Busy, Idle, Boot, Drain float64
}

// Cost is in the currency of the price.
type Cost struct {
	Total, PerJob float64
	IdleShare     float64 // the share of instance-hours in which no job ran
}

// Bound is the least instance-hours with which a clairvoyant fleet of the same capacity serves the same jobs.
type Bound struct {
	AtStarts float64 // each started when the simulation started it
	AtOnce   float64 // each started when it arrived
}

// result closes the books.
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

// unfinished is the places of the waits of jobs that began and did not end.
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
