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

// Figures are the figures of one run that a search uses.
type Figures struct {
	Objective     float64 // the value to minimise
	Cost          float64
	InstanceHours float64
	MeanWait      float64 // seconds, like the other waits
	P95Wait       float64
	P99Wait       float64
	WaitFraction  float64
	Utilization   float64
	Jobs          int
	Censored      int // jobs that never ended; a policy with such jobs is never recommended
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

// candidate is a point of the space, with the figures of its last run.
type candidate struct {
	k        knobs
	today    bool
	number   int // order of creation; decides between equal candidates
	figures  Figures
	axis     float64 // the wait that is traded against the objective
	excess   float64 // how far it misses its SLOs, with slack; 0: it keeps them
	verdicts []Verdict
	err      error
}

func (c *candidate) setup(s *space) Setup {
	if c.today {
		return s.today
	}
	return s.setup(c.k)
}

// better orders candidates: first those that keep the SLOs, by objective; then the others, by how far they miss them.
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

// search is the state of one search.
type search struct {
	ctx   context.Context
	p     *Problem
	s     *space
	slo   []Assertion
	keep  []float64 // margin that each SLO must keep from its limit
	r     *rand.Rand
	train part
	seen  map[knobs]bool
	spent float64
	full  []*candidate // candidates that were run on the whole training part
	made  int
}

// evaluate runs candidates over a part, on all workers. It stores the figures in the candidates, so the order in which runs end does not
// matter.
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

// judge compares the result of a part with the SLOs and their margins (no margins: 0). Totals are scaled to the length of the whole trace.
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

// fresh makes a candidate, unless it exists already.
func (h *search) fresh(k knobs) *candidate {
	if h.seen[k] {
		return nil
	}
	h.seen[k] = true
	h.made++
	return &candidate{k: k, number: h.made}
}

// The stages of successive halving (Jamieson & Talwalkar, AISTATS 2016), as shares of the training part.
func rungs() []float64 { return []float64{0.125, 0.25, 0.5, 1} }

// narrow starts with the candidates from theory and with random ones. It repeatedly keeps the better half and runs it on twice as many
// jobs, until few are left.
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
	clear(h.seen) // a candidate that failed on a short part may be tried again: the part may not have been typical
	for _, c := range h.full {
		h.seen[c.k] = true
	}
	h.tell("narrowing")
	return nil
}

// typical is the part of the training part, with the given share of its jobs, whose rate of arrivals is nearest to the rate of the whole.
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

// survivors keeps n candidates: the best by the SLOs, and those of the front between cost and waiting that are nearest to them.
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
	for rest := list; len(kept) < n && len(rest) > 0; { // layer by layer: next are the candidates that only the chosen layers dominate
		layer := front(rest)
		keep(layer, n)
		rest = slices.DeleteFunc(slices.Clone(rest), func(c *candidate) bool { return slices.Contains(layer, c) })
	}
	return kept
}

// front is the candidates that no other one dominates in objective and wait, the best first.
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

// generation is how many candidates are refined at once. It is a constant, so that the result does not depend on the number of workers.
const generation = 8

// refine varies the settings of the best candidates by small steps, again and again.
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
			return nil // the space is small, and every neighbour was tried
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

// peak is the largest number of jobs that run at once if each starts at its arrival.
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
