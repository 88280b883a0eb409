package optimise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Figures are what a search looks at, of one run.
type Figures struct {
	Objective     float64 // what is to be small
	Cost          float64
	InstanceHours float64
	MeanWait      float64 // seconds, as the other waits
	P95Wait       float64
	P99Wait       float64
	WaitFraction  float64
	Utilization   float64
	Jobs          int
	Censored      int // jobs that were never done: a policy that leaves some is never recommended
}

func figuresOf(r *simulate.Result, objective string) Figures {
	f := Figures{Cost: r.Cost.Total, InstanceHours: r.Hours.Total, MeanWait: r.Waits.Mean, P95Wait: r.Waits.Quantile(0.95),
		P99Wait: r.Waits.Quantile(0.99), WaitFraction: r.Waits.Fraction, Utilization: r.Utilization, Jobs: r.Arrived, Censored: r.Censored}
	f.Objective = f.InstanceHours
	if objective == Cost {
		f.Objective = f.Cost
	}
	if r.Waits.Count == 0 && r.Arrived > 0 {
		f.MeanWait, f.P95Wait, f.P99Wait = math.Inf(1), math.Inf(1), math.Inf(1)
	}
	return f
}

// candidate is a point of the space and what the last run of it gave.
type candidate struct {
	k        knobs
	today    bool
	number   int // in the order of their making: the last tie-break
	figures  Figures
	axis     float64 // the wait that is traded against the objective
	excess   float64 // by how much its SLOs are missed, with slack; 0: it keeps them
	verdicts []Verdict
	err      error
}

func (c *candidate) setup(s *space) Setup {
	if c.today {
		return s.today
	}
	return s.setup(c.k)
}

// better orders candidates: those that keep the SLOs by their objective, before the others by how far off they are.
func better(a, b *candidate) int {
	if c := cmp.Compare(a.excess, b.excess); c != 0 {
		return c
	}
	if c := cmp.Compare(a.figures.Objective, b.figures.Objective); c != 0 {
		return c
	}
	if c := cmp.Compare(a.axis, b.axis); c != 0 {
		return c
	}
	return cmp.Compare(a.number, b.number)
}

// search is one run of the optimiser.
type search struct {
	ctx   context.Context
	p     *Problem
	s     *space
	slo   []Assertion
	keep  []float64 // by how much each SLO has to keep from its limit
	r     *rand.Rand
	train part
	seen  map[knobs]bool
	spent float64
	full  []*candidate // evaluated on the whole training part
	made  int
}

// evaluate runs candidates over a part, on all workers. The results are in the candidates, whatever the order of their ends.
func (h *search) evaluate(list []*candidate, on part, share float64) error {
	parallel(len(list), h.p.Workers, func(n int) { h.one(list[n], on) })
	var errs []error
	for _, c := range list {
		errs = append(errs, c.err)
	}
	h.spent += share * float64(len(list))
	return errors.Join(errs...)
}

func (h *search) one(c *candidate, on part) {
	o, err := h.p.options(c.setup(h.s), on.start)
	if err != nil {
		c.err = err
		return
	}
	r, err := run(h.ctx, o, on.jobs.Again())
	if err != nil {
		c.err = fmt.Errorf("optimise: %w", err)
		return
	}
	c.figures = figuresOf(r, h.p.Objective)
	c.err = c.judge(h.slo, h.keep, r, on.scale)
}

// judge holds a result of a part against the SLOs and their margins (none: 0); totals are scaled to the length of the whole trace.
func (c *candidate) judge(slo []Assertion, margins []float64, r *simulate.Result, scale float64) error {
	c.excess, c.verdicts, c.axis = 0, nil, c.figures.P95Wait
	axis := false
	for i, a := range slo {
		v, err := valueOf(r, a.Path)
		if err != nil {
			return err
		}
		if !axis && unitOf(a.Path) == seconds && a.Operator[0] == '<' {
			c.axis, axis = v, true
		}
		if total(a.Path) {
			v *= scale
		}
		verdict := a.judge(v)
		c.verdicts = append(c.verdicts, verdict)
		margin := 0.0
		if i < len(margins) {
			margin = margins[i]
		}
		c.excess += verdict.excess(margin)
	}
	if r.Censored > 0 {
		c.excess += 1000 * float64(r.Censored) / float64(max(r.Arrived, 1))
	}
	return nil
}

// fresh makes a candidate unless it was made before.
func (h *search) fresh(k knobs) *candidate {
	if h.seen[k] {
		return nil
	}
	h.seen[k] = true
	h.made++
	return &candidate{k: k, number: h.made}
}

// The rungs of the successive halving (Jamieson & Talwalkar, AISTATS 2016), as shares of the training part.
func rungs() []float64 { return []float64{0.125, 0.25, 0.5, 1} }

// narrow begins with what theory suggests and with random candidates, and gives the better half of them twice the trace, until few are left.
func (h *search) narrow() error {
	count := max(h.p.Budget, 8)
	var list []*candidate
	for _, k := range h.s.starts {
		if c := h.fresh(k); c != nil && len(list) < count {
			list = append(list, c)
		}
	}
	for tries := 0; len(list) < count && tries < 20*count; tries++ {
		if c := h.fresh(h.s.random(h.r)); c != nil {
			list = append(list, c)
		}
	}
	for i, share := range rungs() {
		on := h.train
		if share < 1 {
			on = h.typical(share)
		}
		if err := h.evaluate(list, on, share); err != nil {
			return err
		}
		if i == len(rungs())-1 {
			break
		}
		list = survivors(list, max(len(list)/2, 4))
		h.tell("narrowing")
	}
	h.full = append(h.full, list...)
	clear(h.seen) // what fell on a short stretch may be tried again: the stretch may have been wrong
	for _, c := range h.full {
		h.seen[c.k] = true
	}
	h.tell("narrowing")
	return nil
}

// typical is the stretch of the training part, of the given share of its jobs, whose rate of arrivals is the nearest to that of the whole.
func (h *search) typical(share float64) part {
	list := h.train.jobs.List
	n := max(int(share*float64(len(list))), min(minJobs, len(list)))
	span := func(from, to int) float64 { return (list[to-1].Arrival - list[from].Arrival).Seconds() }
	want, best, at := span(0, len(list))*float64(n)/float64(len(list)), math.Inf(1), 0
	const places = 24
	for i := range places {
		from := (len(list) - n) * i / (places - 1)
		if off := math.Abs(math.Log((span(from, from+n) + 1) / (want + 1))); off < best {
			best, at = off, from
		}
	}
	own := *h.p
	own.Jobs, own.Options.Start = h.train.jobs, h.train.start
	out := own.cut(at, at+n)
	out.scale *= h.train.scale
	return out
}

// survivors keeps n candidates: the best by the SLOs, and of the front between cost and waiting those that are nearest to them.
func survivors(list []*candidate, n int) []*candidate {
	if len(list) <= n {
		return list
	}
	byScore := slices.Clone(list)
	slices.SortFunc(byScore, better)
	var kept []*candidate
	keep := func(from []*candidate, limit int) {
		for _, c := range from {
			if len(kept) < limit && !slices.Contains(kept, c) {
				kept = append(kept, c)
			}
		}
	}
	keep(byScore, (n+1)/2)
	for rest := list; len(kept) < n && len(rest) > 0; { // layer by layer: what only the chosen layers dominate comes next
		layer := front(rest)
		keep(layer, n)
		rest = slices.DeleteFunc(slices.Clone(rest), func(c *candidate) bool { return slices.Contains(layer, c) })
	}
	return kept
}

// front is what nothing dominates in objective and wait, the best first.
func front(list []*candidate) []*candidate {
	order := slices.Clone(list)
	slices.SortFunc(order, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.figures.Objective, b.figures.Objective), cmp.Compare(a.axis, b.axis), cmp.Compare(a.number, b.number))
	})
	var out []*candidate
	least := math.Inf(1)
	for _, c := range order {
		if c.axis < least {
			least = c.axis
			out = append(out, c)
		}
	}
	slices.SortFunc(out, better)
	return out
}

// generation is how many candidates are refined at once: a constant, so that the number of workers has no say.
const generation = 8

// refine turns the knobs of the best a little, again and again.
func (h *search) refine() error {
	for h.spent+generation <= float64(h.p.Budget) {
		parents := survivors(h.full, 6)
		best := slices.MinFunc(h.full, better)
		var list []*candidate
		for tries := 0; len(list) < generation && tries < 50*generation; tries++ {
			parent := best
			if h.r.IntN(2) == 0 {
				parent = pick(h.r, parents)
			}
			if c := h.fresh(h.s.mutate(h.r, parent.k)); c != nil {
				list = append(list, c)
			}
		}
		if len(list) == 0 {
			return nil // the space is small, and every neighbour is known
		}
		if err := h.evaluate(list, h.train, 1); err != nil {
			return err
		}
		h.full = append(h.full, list...)
		h.tell("refining")
	}
	return nil
}

func (h *search) tell(stage string) {
	if h.p.Progress == nil {
		return
	}
	pr := Progress{Stage: stage, Done: min(h.spent, float64(h.p.Budget)), Budget: float64(h.p.Budget)}
	if len(h.full) > 0 {
		best := h.point(slices.MinFunc(h.full, better))
		pr.Best = &best
	}
	h.p.Progress(pr)
}

// peak is the most jobs that run at once when each starts when it arrives.
func peak(list []simulate.Job) int {
	type edge struct {
		at time.Duration
		by int
	}
	edges := make([]edge, 0, 2*len(list))
	for _, j := range list {
		edges = append(edges, edge{j.Arrival, 1}, edge{j.Arrival + j.Duration, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	most, now := 0, 0
	for _, e := range edges {
		now += e.by
		most = max(most, now)
	}
	return most
}
