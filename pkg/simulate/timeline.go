package simulate

import "time"

// Timeline holds curves over the time of a run, on a common grid. A value is the mean over one step. Peak is the longest queue within a
// step.
type Timeline struct {
	Step    time.Duration
	Queue   []float64 // jobs that wait, inside and outside the core
	Peak    []float64
	Running []float64 // jobs
	Booting []float64 // instances by what they do
	Idle    []float64
	Busy    []float64
	Drain   []float64
}

// PolicyEdge is the moment from which a policy is in force; index −1: no policy matches.
type PolicyEdge struct {
	At     time.Duration
	Policy int
}

const curves = 6

// recorder keeps a limited number of points. When it is full, it merges each two neighbours and doubles the step.
type recorder struct {
	limit int
	step  int64
	sum   [][curves]float64 // value × ns
	peak  []float64
}

func newRecorder(points int) *recorder {
	return &recorder{limit: max(points, 16) &^ 1, step: int64(time.Second)}
}

// pass adds the state from e.now to at.
func (r *recorder) pass(e *engine, at int64, waiting int) {
	queue := float64(waiting + e.outside.len())
	c := &e.acc.count
	values := [curves]float64{
		queue, float64(e.busy), float64(c[phaseBoot]), float64(c[phaseIdle]), float64(c[phaseBusy]), float64(c[phaseDrain]),
	}
	for from := e.now; from < at; {
		n := from / r.step
		for n >= int64(r.limit) {
			r.fold()
			n = from / r.step
		}
		for int64(len(r.sum)) <= n {
			r.sum = append(r.sum, [curves]float64{})
			r.peak = append(r.peak, 0)
		}
		to := min(at, (n+1)*r.step)
		dt := float64(to - from)
		for k := range values {
			r.sum[n][k] += values[k] * dt
		}
		r.peak[n] = max(r.peak[n], queue)
		from = to
	}
}

func (r *recorder) fold() {
	half := (len(r.sum) + 1) / 2
	for i := range half {
		s, p := r.sum[2*i], r.peak[2*i]
		if 2*i+1 < len(r.sum) {
			for k := range s {
				s[k] += r.sum[2*i+1][k]
			}
			p = max(p, r.peak[2*i+1])
		}
		r.sum[i], r.peak[i] = s, p
	}
	r.sum, r.peak, r.step = r.sum[:half], r.peak[:half], r.step*2
}

// result computes the curves at the end of the run.
func (r *recorder) result(end int64) *Timeline {
	t := &Timeline{Step: time.Duration(r.step), Peak: r.peak}
	to := [curves]*[]float64{&t.Queue, &t.Running, &t.Booting, &t.Idle, &t.Busy, &t.Drain}
	for k, curve := range to {
		*curve = make([]float64, len(r.sum))
		for i := range r.sum {
			(*curve)[i] = r.sum[i][k] / float64(max(min(r.step, end-int64(i)*r.step), 1)) // the last step may be shorter
		}
	}
	return t
}
