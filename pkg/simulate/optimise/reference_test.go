package optimise

import (
	"container/heap"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// reference is the policy that the traces were published with, re-implemented for comparison and sharing no line with the engine: as many
// workers are wanted as jobs run and wait, at most Cap; a worker boots for Boot, runs a job at a time, and leaves once it was idle for Idle.
// Every Loop it looks what is missing (0: at once). A job goes to the worker that has been idle longest, as in the original, whose workers
// stand in line; or, with Pack, to the one that has been idle shortest, so that the others can leave.
type reference struct {
	Cap              int
	Boot, Idle, Loop time.Duration
	Pack             bool
}

// asPublished is the reference at the settings of its figures.
func asPublished() reference {
	return reference{Cap: 1000, Boot: 20 * time.Second, Idle: 15 * time.Minute, Loop: time.Second}
}

// outcome is what became of a trace. Hours end with the last job: workers that are left are cut there, as in the engine.
type outcome struct {
	Waits           []time.Duration // in the order of starts
	Created, Unused int
	Hours           float64
	Work            float64 // hours of jobs
	End             time.Duration
}

func (o *outcome) mean() float64 {
	sum := time.Duration(0)
	for _, w := range o.Waits {
		sum += w
	}
	return sum.Seconds() / float64(max(len(o.Waits), 1))
}

func (o *outcome) quantile(p float64) float64 {
	sorted := slices.Clone(o.Waits)
	slices.Sort(sorted)
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)].Seconds()
}

// worker is created at created, and idle since idle unless it runs a job.
type worker struct {
	created, idle time.Duration
	used          bool
}

// running is a job on a worker.
type running struct {
	end time.Duration
	on  *worker
}

type runningHeap []running

func (h runningHeap) Len() int           { return len(h) }
func (h runningHeap) Less(i, j int) bool { return h[i].end < h[j].end }
func (h runningHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runningHeap) Push(x any)        { *h = append(*h, x.(running)) }
func (h *runningHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// refState is a run of the reference.
type refState struct {
	reference
	now     time.Duration
	pending []simulate.Job
	boots   []*worker // in the order of their ends: boots are of equal length
	idle    []*worker // longest idle first
	busy    runningHeap
	out     outcome
}

const endless = time.Duration(1<<63 - 1)

// play runs the trace. One round is one moment: jobs end, workers come up and leave, jobs arrive and are handed out, workers are created.
func (r reference) play(jobs []simulate.Job) outcome {
	s := &refState{reference: r}
	for next := 0; next < len(jobs) || len(s.busy)+len(s.pending) > 0; {
		at := s.due()
		if next < len(jobs) {
			at = min(at, jobs[next].Arrival)
		}
		s.now = at
		s.settle()
		for ; next < len(jobs) && jobs[next].Arrival == at; next++ {
			s.pending = append(s.pending, jobs[next])
		}
		s.handOut()
		s.create()
	}
	for _, w := range slices.Concat(s.idle, s.boots) {
		s.leave(w)
	}
	s.out.End = s.now
	return s.out
}

// due is the next moment at which something happens by itself.
func (s *refState) due() time.Duration {
	at := endless
	if len(s.busy) > 0 {
		at = s.busy[0].end
	}
	if len(s.boots) > 0 {
		at = min(at, s.boots[0].created+s.Boot)
	}
	if len(s.idle) > 0 {
		at = min(at, s.idle[0].idle+s.Idle)
	}
	if len(s.pending) > 0 && s.Loop > 0 && s.missing() > 0 {
		at = min(at, (s.now/s.Loop+1)*s.Loop)
	}
	return at
}

func (s *refState) settle() {
	for len(s.busy) > 0 && s.busy[0].end == s.now {
		w := heap.Pop(&s.busy).(running).on
		w.idle = s.now
		s.idle = append(s.idle, w)
	}
	for len(s.boots) > 0 && s.boots[0].created+s.Boot == s.now {
		s.boots[0].idle = s.now
		s.idle = append(s.idle, s.boots[0])
		s.boots = s.boots[1:]
	}
	for len(s.idle) > 0 && s.idle[0].idle+s.Idle <= s.now {
		s.leave(s.idle[0])
		s.idle = s.idle[1:]
	}
}

func (s *refState) handOut() {
	for len(s.pending) > 0 && len(s.idle) > 0 {
		at := 0
		if s.Pack {
			at = len(s.idle) - 1
		}
		w, j := s.idle[at], s.pending[0]
		s.idle, s.pending = slices.Delete(s.idle, at, at+1), s.pending[1:]
		w.used = true
		s.out.Waits = append(s.out.Waits, s.now-j.Arrival)
		s.out.Work += j.Duration.Hours()
		heap.Push(&s.busy, running{end: s.now + j.Duration, on: w})
	}
}

// missing is running + pending, capped, less what there is.
func (s *refState) missing() int {
	have := len(s.busy) + len(s.idle) + len(s.boots)
	return min(len(s.busy)+len(s.pending), s.Cap) - have
}

func (s *refState) create() {
	if s.Loop > 0 && s.now%s.Loop != 0 {
		return
	}
	for range s.missing() {
		s.boots = append(s.boots, &worker{created: s.now})
		s.out.Created++
	}
}

func (s *refState) leave(w *worker) {
	s.out.Hours += (s.now - w.created).Hours()
	if !w.used {
		s.out.Unused++
	}
}
