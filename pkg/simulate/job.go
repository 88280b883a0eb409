package simulate

import "time"

// Job is one job of a workload.
type Job struct {
	Arrival  time.Duration // when it became runnable, from the start of the run
	Duration time.Duration // how long it runs on a slot; a killed job starts again from zero
	Tag      int           // index into Workload.Tags; 0: no tag
}

// Workload is a sequence of jobs in the order of their arrival.
type Workload interface {
	// Next returns the next job, or false after the last one. Arrivals never decrease.
	Next() (Job, bool)
	// Tags are the names that Job.Tag refers to. The first name is empty.
	Tags() []string
}

// Jobs is a workload in memory. The zero value is empty and ready to use.
type Jobs struct {
	List  []Job
	Names []string // names of the tags; may be nil
	next  int
}

// Next implements Workload.
func (j *Jobs) Next() (Job, bool) {
	if j.next >= len(j.List) {
		return Job{}, false
	}
	j.next++
	return j.List[j.next-1], true
}

// Tags implements Workload.
func (j *Jobs) Tags() []string {
	if len(j.Names) == 0 {
		return []string{""}
	}
	return j.Names
}

// Again returns the same jobs from the beginning. Runs that share a list do not disturb each other.
func (j *Jobs) Again() *Jobs { return &Jobs{List: j.List, Names: j.Names} }

// Repeat plays a list n times, each time one Period later. It does not copy the list.
type Repeat struct {
	Jobs   *Jobs
	Times  int
	Period time.Duration // from the start of one play to the start of the next
	played int
}

// Next implements Workload.
func (r *Repeat) Next() (Job, bool) {
	for {
		if j, ok := r.Jobs.Next(); ok {
			j.Arrival += time.Duration(r.played) * r.Period
			return j, true
		}
		if r.played+1 >= r.Times || len(r.Jobs.List) == 0 {
			return Job{}, false
		}
		r.played++
		r.Jobs.next = 0
	}
}

// Tags implements Workload.
func (r *Repeat) Tags() []string { return r.Jobs.Tags() }
