package journal

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// hang bounds everything that a test of this package waits for in real time. Only a hang reaches it: it is far longer than a busy machine
// needs.
const hang = 2 * time.Minute

func TestMain(m *testing.M) { leakcheck.Main(m) }

// driver runs a core in a random world, and its journal.
type driver struct {
	t     testing.TB
	w     *Writer
	r     *rand.Rand
	core  *scaler.Core
	cfg   scaler.Config
	now   scaler.Time
	tick  uint64
	cmds  []scaler.Command
	seen  map[time.Duration]string // digest of each batch, by its time
	times []time.Duration
}

func config(t testing.TB) scaler.Config {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	s, err := policy.Compile([]policy.Policy{
		{Settings: policy.Settings{IdleCount: 2, IdleTime: time.Minute, ScaleFactor: 0.5}},
		{Periods: []string{"* 9 * * *"}, Timezone: "Asia/Seoul", Settings: policy.Settings{IdleCount: 4, Throttle: &policy.Throttle{Limit: 1}}},
	}, zone)
	if err != nil {
		t.Fatal(err)
	}
	return scaler.Config{
		Capacity: 2, MaxInstances: 9, Heartbeat: true, UpdateInterval: 10 * time.Second, Schedule: s, Throttle: policy.Throttle{Limit: 0.3, Burst: 4},
	}
}

// drive opens a journal and starts a life in it.
func drive(t testing.TB, dir string, seed uint64, o Options) *driver {
	t.Helper()
	w, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{
		t: t, w: w, r: rand.New(rand.NewPCG(seed, 1)), cfg: config(t), seen: map[time.Duration]string{},
		now: scaler.Time{Mono: time.Duration(seed) * 1000 * time.Hour, Wall: time.Date(2026, 3, 6, 23, 59, 0, 12345, time.UTC)},
	}
	if d.core, err = scaler.New(d.cfg, record.Saved{}, true, d.now); err != nil {
		t.Fatal(err)
	}
	s := d.core.Snapshot()
	w.Start(&s)
	t.Cleanup(func() { _ = w.Close() })
	return d
}

// round does what a manager's loop does in one round, and keeps the digest of its batch.
func (d *driver) round(n int) {
	d.t.Helper()
	step := time.Duration(1 + d.r.IntN(3_000_000_000))
	d.now = scaler.Time{Mono: d.now.Mono + step, Wall: d.now.Wall.Add(step + time.Duration(d.r.IntN(999)-500))}
	if d.r.IntN(200) == 0 {
		d.now.Wall = d.now.Wall.Add(time.Duration(d.r.IntN(7200)-3600) * time.Second)
	}
	events := make([]scaler.Event, 0, n)
	for range n {
		events = append(events, d.event())
	}
	d.w.Round(d.now, events)
	for i := range events {
		d.core.Step(d.now, events[i])
	}
	b := d.core.Take()
	if b.Bug != nil {
		d.t.Fatal(b.Bug)
	}
	d.w.Taken(b)
	if d.w.Due() {
		s := d.core.Snapshot()
		d.w.Rotate(&s)
	}
	d.cmds = append(d.cmds, b.Commands...)
	d.seen[d.now.Mono] = digest(b)
	d.times = append(d.times, d.now.Mono)
}

func (d *driver) event() scaler.Event {
	d.tick++
	ev := scaler.Event{Ticket: d.tick, Key: record.Key(fmt.Sprintf("job-%08d", d.r.IntN(20)))}
	id := record.ID(fmt.Sprint("i-", d.r.IntN(9)))
	switch n := d.r.IntN(20); {
	case n < 6:
		ev.Kind, ev.Deadline = scaler.EvAcquire, d.now.Mono+10*time.Minute
	case n < 10:
		ev.Kind, ev.Cause = scaler.EvRelease, []record.Cause{0, 0, record.CauseUnhealthy}[d.r.IntN(3)]
	case n < 11:
		return scaler.Event{Kind: scaler.EvListFailed, Failure: failure.Failure{Kind: failure.Transient, RetryAfter: 3, Message: "öh " + strings.Repeat("é", d.r.IntN(600))}}
	case n < 13:
		return scaler.Event{Kind: scaler.EvAppeared, ID: id, Listed: fleet.ListedRunning}
	case n < 14:
		return scaler.Event{Kind: scaler.EvListed, Since: d.now.Mono - time.Second}
	case n < 18 && len(d.cmds) > 0:
		return d.answer()
	case n == 19 && d.r.IntN(30) == 0:
		cfg := d.cfg
		cfg.Capacity = 1 + d.r.IntN(3)
		return scaler.Event{Kind: scaler.EvReload, Config: &cfg}
	case n == 18:
		ev.Kind = []scaler.EventKind{scaler.EvReserve, scaler.EvReplace, scaler.EvDetach, scaler.EvReattach, scaler.EvUnreserve}[d.r.IntN(5)]
	default:
		return scaler.Event{Kind: scaler.EvWake}
	}
	return ev
}

func (d *driver) answer() scaler.Event {
	n := d.r.IntN(len(d.cmds))
	c := d.cmds[n]
	d.cmds = slices.Delete(d.cmds, n, n+1)
	kinds := map[scaler.CommandKind]scaler.EventKind{
		scaler.CmdIncrease: scaler.EvIncreased, scaler.CmdDelete: scaler.EvDeleted, scaler.CmdPrepare: scaler.EvPrepared, scaler.CmdHeartbeat: scaler.EvBeat,
	}
	ev := scaler.Event{Kind: kinds[c.Kind], Op: c.Op, ID: c.ID, Serial: c.Serial, Count: c.Count}
	if d.r.IntN(5) == 0 {
		ev.Failure, ev.Away = failure.Failure{Kind: failure.Kind(1 + d.r.IntN(7)), Message: "no"}, d.r.IntN(2) == 0
	}
	return ev
}

// digest returns a fingerprint of everything in a batch.
func digest(b *scaler.Batch) string {
	h := fnv.New64a()
	c := *b
	c.Facts = slices.Clone(b.Facts)
	for i := range c.Facts {
		c.Facts[i].At.Wall = c.Facts[i].At.Wall.UTC()
	}
	meta := record.Meta{}
	if b.Changes.Meta != nil {
		meta = *b.Changes.Meta
	}
	c.Changes.Meta = nil
	fmt.Fprintf(h, "%+v|%+v", meta, c)
	return fmt.Sprintf("%x", h.Sum64())
}

func (d *driver) flush() {
	d.t.Helper()
	if err := d.w.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// replayed collects what a replay showed.
type replayed struct {
	rounds   int
	begins   []Begin
	problems []*Problem
	first    time.Duration
	last     time.Duration
}

// replayAll replays path and compares every batch with those of the drivers.
func replayAll(t testing.TB, path string, o ReplayOptions, ds ...*driver) (replayed, error) {
	t.Helper()
	var out replayed
	j, err := OpenDir(path)
	if err != nil {
		return out, err
	}
	o.Report = func(p *Problem) { out.problems = append(out.problems, p) }
	err = j.Replay(o, func(s Step) error {
		if s.Begin != BeginNone {
			out.begins = append(out.begins, s.Begin)
			return nil
		}
		if out.rounds == 0 {
			out.first = s.Now.Mono
		}
		out.rounds++
		out.last = s.Now.Mono
		for _, d := range ds {
			if want, ok := d.seen[s.Now.Mono]; ok {
				if got := digest(s.Batch); got != want {
					return fmt.Errorf("round %d of segment %d gives a different batch: %+v", s.Round, s.Segment, *s.Batch)
				}
				return nil
			}
		}
		if len(ds) > 0 {
			return fmt.Errorf("no driver had a round at %v", s.Now.Mono)
		}
		return nil
	})
	return out, err
}

func size(t testing.TB, dir string) (bytes int64, files int) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes, len(all)
}

// logs collects log records.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
