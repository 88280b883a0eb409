package scaler

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// happening is one entry of the small simulator that these tests use.
type happening struct {
	at   time.Duration
	seq  int
	kind int // 0: a job arrives, 1: a job ends, 2: an instance runs
	job  int
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(a, b int) bool {
	return h[a].at < h[b].at || h[a].at == h[b].at && h[a].seq < h[b].seq
}
func (h happenings) Swap(a, b int) { h[a], h[b] = h[b], h[a] }
func (h *happenings) Push(x any)   { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// queueing runs jobs through a core, with exponential gaps, service times and boot times (in seconds), immediate discovery and no failures.
type queueing struct {
	t                  *testing.T
	core               *Core
	now                Time
	dice               *rand.Rand
	todo               happenings
	seq, names         int
	gap, service, boot float64
	jobs               map[record.Key]int
	waits, idle        []float64 // of job n; open slots when it arrived
	delivered          int
}

func newQueueing(t *testing.T, cfg Config, gap, service, boot float64) *queueing {
	t.Helper()
	q := &queueing{
		t: t, gap: gap, service: service, boot: boot, dice: rand.New(rand.NewPCG(2026, 7)), jobs: map[record.Key]int{},
		now: Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)},
	}
	cfg.Throttle = policy.Throttle{Limit: -1}
	cfg.RequestedDeadline, cfg.CreatingDeadline, cfg.PreparingDeadline = 1e6*time.Hour, 1e6*time.Hour, 1e6*time.Hour
	cfg.ForgetAfter = time.Minute
	core, err := New(cfg, record.Saved{}, true, q.now)
	if err != nil {
		t.Fatal(err)
	}
	q.core = core
	q.step(Event{Kind: EvListed, Since: q.now.Mono})
	return q
}

func (q *queueing) draw(mean float64) time.Duration {
	return time.Duration(q.dice.ExpFloat64() * mean * float64(time.Second))
}

func (q *queueing) plan(d time.Duration, kind, job int) {
	q.seq++
	heap.Push(&q.todo, happening{q.now.Mono + d, q.seq, kind, job})
}

// step carries out the results of an event at once.
func (q *queueing) step(ev Event) {
	q.core.Step(q.now, ev)
	b := q.core.Take()
	if b.Bug != nil {
		q.t.Fatal(b.Bug)
	}
	for _, g := range b.Grants {
		if g.Kind == GrantLease {
			job := q.jobs[g.Key]
			q.waits[job] = g.Waited.Seconds()
			q.delivered++
			q.plan(q.draw(q.service), 1, job)
		}
	}
	commands := append([]Command(nil), b.Commands...)
	for _, c := range commands {
		switch c.Kind {
		case CmdIncrease:
			q.step(Event{Kind: EvIncreased, Op: c.Op, Count: c.Count})
			for range c.Count {
				q.plan(q.draw(q.boot), 2, 0)
			}
		case CmdPrepare:
			q.step(Event{Kind: EvPrepared, ID: c.ID, Op: c.Op, Serial: c.Serial})
		case CmdDelete:
			q.step(Event{Kind: EvDeleted, ID: c.ID, Op: c.Op, Serial: c.Serial})
			q.step(Event{Kind: EvMissing, ID: c.ID})
			q.step(Event{Kind: EvListed, Since: q.now.Mono})
		}
	}
}

func (q *queueing) run(jobs int) {
	q.waits, q.idle = make([]float64, jobs), make([]float64, jobs)
	for job := 0; job < jobs || q.delivered < jobs; {
		if job < jobs && (len(q.todo) == 0 || q.seq == 0) {
			q.plan(q.draw(q.gap), 0, job)
		}
		h := heap.Pop(&q.todo).(happening)
		q.now.Wall = q.now.Wall.Add(h.at - q.now.Mono)
		q.now.Mono = h.at
		switch h.kind {
		case 0:
			key := record.Key(fmt.Sprint(h.job))
			q.jobs[key] = h.job
			q.idle[h.job] = float64(q.core.reg.OpenSlots())
			if job++; job < jobs {
				q.plan(q.draw(q.gap), 0, job)
			}
			q.step(Event{Kind: EvAcquire, Key: key, Ticket: uint64(h.job + 1)})
		case 1:
			key := record.Key(fmt.Sprint(h.job))
			delete(q.jobs, key)
			q.step(Event{Kind: EvRelease, Key: key, Ticket: uint64(h.job + 1)})
		case 2:
			q.names++
			q.step(Event{Kind: EvAppeared, ID: record.ID(fmt.Sprint("i-", q.names)), Listed: fleet.ListedRunning})
		}
	}
}

// near compares the mean of f over the jobs, without the first tenth, with a closed form. It must lie within the 99.9 % confidence interval
// of forty batch means, and the interval must be narrow enough to prove something.
func near(t *testing.T, what string, values []float64, f func(float64) float64, want float64) {
	t.Helper()
	const batches, student = 40, 3.56
	values = values[len(values)/10:]
	size := len(values) / batches
	var means [batches]float64
	mean := 0.0
	for b := range means {
		for _, v := range values[b*size : (b+1)*size] {
			means[b] += f(v) / float64(size)
		}
		mean += means[b] / batches
	}
	sum := 0.0
	for _, m := range means {
		sum += (m - mean) * (m - mean)
	}
	half := student * math.Sqrt(sum/(batches-1)/batches)
	t.Logf("%s: %.5f ± %.5f, closed form %.5f", what, mean, half, want)
	if math.Abs(mean-want) > half {
		t.Errorf("%s: %.5f ± %.5f, closed form %.5f", what, mean, half, want)
	}
	if half > 0.25*want {
		t.Errorf("%s: an interval of ±%.5f proves nothing about %.5f", what, half, want)
	}
}

func same(v float64) float64 { return v }

func above(limit float64) func(float64) float64 {
	return func(v float64) float64 {
		if v > limit {
			return 1
		}
		return 0
	}
}

// TestErlangC: a fixed fleet of c instances that are always on, with exponential service times: M/M/c (closed form 1).
func TestErlangC(t *testing.T) {
	for _, c := range []struct {
		machines       int
		load           float64
		wait, mean, at float64 // P(W > 0); E[W]μ; the wait that 5 % exceed, × μ
	}{{10, 8, 0.4091801508, 0.2045900754, 1.0510662601}, {5, 4, 0.5541125541, 0.5541125541, 0}} {
		cfg := conf(func(cfg *Config) { cfg.MaxInstances = c.machines }, withPolicy(policy.Settings{IdleCount: c.machines, IdleTime: 1e5 * time.Hour}))
		q := newQueueing(t, cfg, 60/c.load, 60, 0)
		for len(q.todo) > 0 { // the fleet boots before the first job
			h := heap.Pop(&q.todo).(happening)
			q.names++
			q.now.Mono = h.at
			q.step(Event{Kind: EvAppeared, ID: record.ID(fmt.Sprint("i-", q.names)), Listed: fleet.ListedRunning})
		}
		if q.core.Summary().Idle != c.machines {
			t.Fatalf("%+v", q.core.Summary())
		}
		q.run(250_000)
		near(t, fmt.Sprintf("c=%d: P(wait)", c.machines), q.waits, above(0), c.wait)
		near(t, fmt.Sprintf("c=%d: E[W]μ", c.machines), q.waits, func(w float64) float64 { return w / 60 }, c.mean)
		if c.at > 0 {
			near(t, fmt.Sprintf("c=%d: P(Wμ > %.3f)", c.machines, c.at), q.waits, above(c.at*60), 0.05)
		}
		if q.names != c.machines {
			t.Errorf("%d instances were created", q.names)
		}
	}
}

// TestBaseStock: single use and no limit: idle_count is a base stock (closed form 3).
func TestBaseStock(t *testing.T) {
	for _, c := range []struct {
		stock            int
		wait, mean, idle float64
	}{{4, 0.6577040442, 21.76165008, 0.58808250}, {8, 0.0865864716, 1.35161245, 3.56758062}} {
		cfg := Config{MaxUses: 1, Schedule: always(policy.Settings{IdleCount: c.stock, IdleTime: 1e5 * time.Hour})}
		q := newQueueing(t, cfg, 20, 10, 90)
		q.run(50_000)
		near(t, fmt.Sprintf("K=%d: P(wait)", c.stock), q.waits, above(0), c.wait)
		near(t, fmt.Sprintf("K=%d: E[W]", c.stock), q.waits, same, c.mean)
		near(t, fmt.Sprintf("K=%d: idle", c.stock), q.idle, same, c.idle)
	}
}
