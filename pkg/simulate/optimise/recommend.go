package optimise

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Point is a configuration that was run on the whole training part.
type Point struct {
	Name     string // what it asks for, in a few words
	Setup    Setup
	Train    Figures
	Verdicts []Verdict // on the training part, without slack
	OnFront  bool      // no other point has both a smaller objective and a shorter p95 wait
	Today    bool
	Chosen   bool
}

// Holdout is the result on the part of the trace that the search did not use. Each run starts with an empty fleet.
type Holdout struct {
	Jobs          int
	Chosen, Today Figures
	Verdicts      []Verdict // of the chosen policy; totals are scaled to the length of the whole trace
	Met           bool
	// Diffs are chosen minus today, with confidence intervals (see [Compare]), by the path of the figure. Empty: too few jobs.
	Diffs   map[string]simulate.Interval
	Samples int // number of blocks of the intervals
}

// Recommendation is the answer to a Problem.
type Recommendation struct {
	Objective string
	SLO       []Assertion
	Points    []Point // by objective, the smallest first
	Chosen    int     // index into Points
	Today     int
	// Met reports whether the chosen policy keeps every SLO on the training part, with slack. If not, the chosen policy is the one that
	// misses them least.
	Met     bool
	Holdout Holdout

	// Saving is the share of today's objective that the front saves without a longer p95 wait. SameWait is the point that saves it. If
	// today's configuration is on the front, they are 0 and Today.
	Saving   float64
	SameWait int
	// Sooner is how much shorter the p95 wait can be, in seconds, without a larger objective. SameCost is the point that has it.
	Sooner   float64
	SameCost int

	TrainJobs int
	Seed      uint64
	Runs      float64 // number of runs made, each over the whole training part
	Warnings  []string
}

// Best is the chosen point.
func (r *Recommendation) Best() *Point { return &r.Points[r.Chosen] }

// Recommend searches for the configuration with the smallest objective that keeps the SLOs on the training part of the trace. It then runs
// this configuration on the rest.
//
// A candidate has one policy, or one policy for the busy hours of the week and one for the other hours. The busy hours are found in the
// training part. The first candidates come from the base-stock formula for the SLOs. Together with random
// candidates they go through successive halving, on longer and longer parts of the training part. The rest of the budget varies the
// settings of the best ones. The choice must keep each SLO with some slack, because the best of many candidates on one trace is partly the
// luckiest one.
//
// Errors: faults of the problem, those of simulate.Run, and of the context.
func Recommend(ctx context.Context, p Problem) (*Recommendation, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return nil, err
	}
	n := len(p.Jobs.List)
	split := min(max(int(p.Train*float64(n)), 1), n-1)
	h := &search{ctx: ctx, p: &p, slo: p.SLO, train: p.cut(0, split), seen: map[knobs]bool{},
		r: rand.New(rand.NewPCG(p.Options.Seed, 0x6f7074696d697365))}
	if err := h.begin(); err != nil {
		return nil, err
	}
	if err := h.narrow(); err != nil {
		return nil, err
	}
	if err := h.refine(); err != nil {
		return nil, err
	}
	r := h.answer()
	if err := h.test(r, p.cut(split, n)); err != nil {
		return nil, err
	}
	r.warn(&p, h.keep)
	return r, nil
}

// begin runs today's configuration, from which limits may be derived.
func (h *search) begin() error {
	today := &candidate{today: true}
	h.s = &space{today: h.p.today()}
	if err := h.evaluate([]*candidate{today}, h.train, 1); err != nil {
		return err
	}
	if len(h.slo) == 0 {
		h.slo = []Assertion{{Figure: "p95_wait", Path: "wait_seconds.p95", Operator: "<=", Limit: today.figures.P95Wait}}
		h.p.SLO = h.slo
	}
	s, err := newSpace(h.p, h.train)
	if err != nil {
		return fmt.Errorf("optimise: %w", err)
	}
	h.s = s
	if err := h.margins(); err != nil {
		return err
	}
	h.spent--                                                           // today's run for the limits is not counted; its run as a candidate is
	if err := h.evaluate([]*candidate{today}, h.train, 1); err != nil { // now that the SLOs are known
		return err
	}
	today.k = s.legal(s.plain())
	h.full = append(h.full, today)
	return nil
}

// margins are the slack in the units of the SLOs. A policy controls only a part of a wait: in a fleet that is too small, jobs wait even if
// everything is kept idle. The slack of a wait is therefore a share of the distance from the limit to the wait when everything possible is
// kept idle.
func (h *search) margins() error {
	k := h.s.plain()
	k.on.idle, k.on.time = h.s.ceiling, 1000*time.Hour
	o, err := h.p.options(h.s.setup(k), h.train.start)
	if err != nil {
		return fmt.Errorf("optimise: %w", err)
	}
	r, err := run(h.ctx, o, h.train.jobs.Again())
	if err != nil {
		return fmt.Errorf("optimise: %w", err)
	}
	h.spent++
	for _, a := range h.slo {
		margin := h.p.Slack * math.Abs(a.Limit)
		if wait := unitOf(a.Path) == seconds || a.Path == "wait_fraction"; wait && a.Operator[0] == '<' {
			least, err := valueOf(r, a.Path)
			if err != nil {
				return err
			}
			margin = h.p.Slack * max(a.Limit-least, 0)
		}
		h.keep = append(h.keep, margin)
	}
	return nil
}

// point converts a candidate for the caller.
func (h *search) point(c *candidate) Point {
	setup := c.setup(h.s)
	return Point{Name: setup.String(), Setup: setup, Train: c.figures, Verdicts: c.verdicts, Today: c.today}
}

// answer chooses, and sorts the points.
func (h *search) answer() *Recommendation {
	chosen := slices.MinFunc(h.full, better)
	order := slices.Clone(h.full)
	slices.SortFunc(order, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.figures.Objective, b.figures.Objective), cmp.Compare(a.figures.P95Wait, b.figures.P95Wait),
			cmp.Compare(a.number, b.number))
	})
	r := &Recommendation{Objective: h.p.Objective, SLO: h.slo, Met: chosen.excess == 0, TrainJobs: len(h.train.jobs.List),
		Seed: h.p.Options.Seed, Runs: h.spent}
	for i, c := range order {
		pt := h.point(c)
		if c == chosen {
			pt.Chosen, r.Chosen = true, i
		}
		if c.today {
			r.Today = i
		}
		pt.OnFront = i == 0 || pt.Train.P95Wait < leastWait(r.Points)
		r.Points = append(r.Points, pt)
	}
	r.place()
	return r
}

func leastWait(points []Point) float64 {
	return slices.MinFunc(points, func(a, b Point) int { return cmp.Compare(a.Train.P95Wait, b.Train.P95Wait) }).Train.P95Wait
}

// place says where today's configuration is in relation to the front.
func (r *Recommendation) place() {
	today := &r.Points[r.Today]
	r.SameWait, r.SameCost = r.Today, r.Today
	for i := range r.Points {
		pt := &r.Points[i]
		if !pt.OnFront || pt.Train.Censored > today.Train.Censored {
			continue
		}
		if t := today.Train.Objective; pt.Train.P95Wait <= today.Train.P95Wait && t > 0 && 1-pt.Train.Objective/t > r.Saving {
			r.Saving, r.SameWait = 1-pt.Train.Objective/t, i
		}
		if less := today.Train.P95Wait - pt.Train.P95Wait; pt.Train.Objective <= today.Train.Objective && less > r.Sooner {
			r.Sooner, r.SameCost = less, i
		}
	}
}

// test runs today's configuration and the chosen one on the rest.
func (h *search) test(r *Recommendation, rest part) error {
	if h.p.Progress != nil {
		h.tell("testing")
	}
	var variants []Variant
	for _, pt := range []*Point{&r.Points[r.Today], r.Best()} {
		o, err := h.p.options(pt.Setup, rest.start)
		if err != nil {
			return fmt.Errorf("optimise: %w", err)
		}
		variants = append(variants, Variant{Name: pt.Name, Options: o})
	}
	both, err := Compare(h.ctx, variants, Trace(rest.jobs),
		CompareOptions{Seed: h.p.Options.Seed, Blocks: h.p.Blocks, Workers: h.p.Workers})
	if err != nil {
		return fmt.Errorf("optimise: on the rest of the trace: %w", err)
	}
	result := both[1].Result
	c := &candidate{figures: figuresOf(result, h.p.Objective)}
	if err := c.judge(h.slo, nil, result, rest.scale); err != nil {
		return err
	}
	r.Holdout = Holdout{Jobs: len(rest.jobs.List), Chosen: c.figures, Today: figuresOf(both[0].Result, h.p.Objective), Verdicts: c.verdicts,
		Met: c.excess == 0, Diffs: both[1].Diffs, Samples: both[1].Samples}
	return nil
}

// warn lists what an operator has to know before using the recommendation.
func (r *Recommendation) warn(p *Problem, margins []float64) {
	add := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	best := r.Best()
	if !r.Met {
		for i, v := range best.Verdicts {
			if v.excess(margins[i]) > 0 {
				add("no tried policy keeps %s on the training part with a distance of %.3g from the limit: the nearest has %.6g", v.Assertion,
					margins[i], v.Value)
			}
		}
	}
	for _, v := range r.Holdout.Verdicts {
		if r.Met && !v.OK {
			add("%s holds on the training part but not on the rest, where it is %.6g: the training part does not predict the rest; train on more jobs, or use more slack",
				v.Assertion, v.Value)
		}
	}
	if a, b := best.Train.MeanWait, r.Holdout.Chosen.MeanWait; b > 1.5*a+1 {
		add("the mean wait is %.1f s on the rest but %.1f s on the training part: the two parts are not alike", b, a)
	}
	perJob := func(f Figures) float64 { return f.Objective / float64(max(f.Jobs, 1)) }
	if a, b := perJob(best.Train), perJob(r.Holdout.Chosen); a > 0 && b > 1.25*a {
		add("a job takes %.0f %% more of %s on the rest than on the training part: the two parts are not alike", (b/a-1)*100, r.Objective)
	}
	if n := best.Train.Censored + r.Holdout.Chosen.Censored; n > 0 {
		add("%d jobs never ended: no tried policy serves all jobs", n)
	}
	if span := p.Jobs.List[len(p.Jobs.List)-1].Arrival - p.Jobs.List[0].Arrival; span < 7*24*time.Hour && len(best.Setup.Policies) > 1 {
		add("the trace is shorter than a week (%s): it says little about hours and weekdays", span.Round(time.Hour))
	}
}

// String describes the setup in a few words.
func (s Setup) String() string {
	var parts []string
	for _, p := range s.Policies {
		text := settingsText(p.Settings)
		if len(p.Periods) > 0 {
			text = strings.Join(p.Periods, ", ") + ": " + text
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, "; ")
	if s.Capacity > 1 {
		text += fmt.Sprintf(", %d slots each", s.Capacity)
	}
	if s.MaxInstances > 0 {
		text += fmt.Sprintf(", at most %d", s.MaxInstances)
	}
	if s.Throttle.Limit > 0 {
		text += fmt.Sprintf(", %g creates/s", s.Throttle.Limit)
	}
	return text
}

func settingsText(s policy.Settings) string {
	text := fmt.Sprintf("idle %d for %s", s.IdleCount, words.Setting(s.IdleTime))
	if s.ScaleFactor > 0 {
		join := " or "
		if s.ScaleFactorMode == policy.FactorAdd {
			join = " + "
		}
		text = fmt.Sprintf("idle %d%s%g × jobs", s.IdleCount, join, s.ScaleFactor)
		if s.ScaleFactorLimit > 0 {
			text += fmt.Sprintf(" (≤ %d)", s.ScaleFactorLimit)
		}
		text += " for " + words.Setting(s.IdleTime)
	}
	return text
}
