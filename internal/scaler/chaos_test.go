package scaler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// chaos makes events of every kind, valid and invalid, with few IDs and keys.
type chaos struct {
	r    *rand.Rand
	now  Time
	cfg  Config
	cmds []Command // not answered yet
	tick uint64
}

func (x *chaos) key() record.Key { return record.Key(fmt.Sprint("k", x.r.IntN(12))) }
func (x *chaos) id() record.ID   { return record.ID(fmt.Sprint("i-", x.r.IntN(9))) }

func (x *chaos) event() Event {
	x.tick++
	ev := Event{Kind: EventKind(1 + x.r.IntN(int(EvUnreachable))), Key: x.key(), ID: x.id(), Ticket: x.tick, Since: x.now.Mono, On: x.r.IntN(8) == 0}
	if x.r.IntN(3) == 0 {
		ev.Kind = EvAcquire + EventKind(x.r.IntN(3))*(EvAppeared-EvAcquire)/2
	}
	if ev.Kind == EvShutdown && x.r.IntN(40) > 0 || ev.Kind == EvRevokeAll && x.r.IntN(20) > 0 {
		ev.Kind = EvListed
	}
	switch ev.Kind {
	case EvAcquire, EvReplace:
		ev.Deadline = x.now.Mono + time.Duration(x.r.IntN(300))*sec
	case EvAppeared, EvChanged:
		ev.Listed = fleet.Listed(1 + x.r.IntN(6))
		if x.r.IntN(2) == 0 {
			ev.Listed = fleet.ListedRunning
		}
	case EvRelease:
		ev.Cause = []record.Cause{0, 0, 0, record.CauseUnhealthy}[x.r.IntN(4)]
	case EvIncreased, EvDeleted, EvPrepared, EvBeat:
		x.answer(&ev)
	case EvListFailed:
		ev.Failure = failure.Failure{Kind: failure.Transient, Message: "no list"}
	case EvReload:
		x.reload(&ev)
	}
	return ev
}

func (x *chaos) answer(ev *Event) {
	if len(x.cmds) == 0 {
		ev.Kind = EvListed
		return
	}
	n := x.r.IntN(len(x.cmds))
	cmd := x.cmds[n]
	x.cmds = slices.Delete(x.cmds, n, n+1)
	ev.Kind = map[CommandKind]EventKind{CmdIncrease: EvIncreased, CmdDelete: EvDeleted, CmdPrepare: EvPrepared, CmdHeartbeat: EvBeat}[cmd.Kind]
	ev.Op, ev.ID, ev.Serial, ev.Count = cmd.Op, cmd.ID, cmd.Serial, x.r.IntN(min(max(cmd.Count, 0), 1000)+1)
	if x.r.IntN(4) == 0 {
		ev.Failure = failure.Failure{Kind: failure.Kind(1 + x.r.IntN(7)), RetryAfter: time.Duration(x.r.IntN(9)) * sec}
		ev.Away = x.r.IntN(3) == 0
	}
}

func (x *chaos) reload(ev *Event) {
	cfg := x.cfg
	cfg.Capacity, cfg.MaxUses, cfg.Adopt = 1+x.r.IntN(4), x.r.IntN(9), AdoptMode(x.r.IntN(3))
	cfg.Throttle = policy.Throttle{Limit: []float64{0, -1, 0.013, 1e-9, 3}[x.r.IntN(5)], Burst: x.r.IntN(5)}
	ev.Config = &cfg
}

// TestResumeChaos: resumed cores decide alike under events of every kind, in any order and with any contents.
func TestResumeChaos(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		x := &chaos{r: rand.New(rand.NewPCG(seed, 5)), now: Time{Mono: sec, Wall: time.Date(2026, 3, 6, 7, 59, 0, 0, time.UTC)}}
		x.cfg = conf(func(c *Config) {
			c.Heartbeat, c.Throttle = seed%2 == 0, policy.Throttle{Limit: 0.07, Burst: 3}
			c.Schedule = sched(policy.Policy{Settings: policy.Settings{IdleCount: 3, IdleTime: time.Minute}},
				policy.Policy{Periods: []string{"* 8 * * *"}, Settings: policy.Settings{Preemptive: true, IdleCount: 2, Throttle: &policy.Throttle{}}})
		})
		core, err := New(x.cfg, record.Saved{}, seed%3 > 0, x.now)
		if err != nil {
			t.Fatal(err)
		}
		k := newCopies(t, seed, 25)
		for range 700 {
			d := time.Duration(x.r.IntN(5_000_000_000))
			x.now = Time{Mono: x.now.Mono + d, Wall: x.now.Wall.Add(d + time.Duration(x.r.IntN(9)/8)*time.Hour)}
			for range 1 + x.r.IntN(4) {
				k.step(core, x.now, x.event())
			}
			b := k.take(core)
			if b.Bug != nil {
				t.Fatalf("seed %d: %v", seed, b.Bug)
			}
			x.cmds = append(x.cmds, b.Commands...)
		}
	}
}

// doctor changes one random value somewhere in v.
func doctor(r *rand.Rand, v reflect.Value) {
	numbers := []int64{0, 1, -1, 2, 7, 1 << 30, math.MaxInt64, math.MinInt64}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			doctor(r, v.Field(r.IntN(v.NumField())))
		}
	case reflect.Slice:
		switch n := v.Len(); {
		case n == 0:
			if r.IntN(3) == 0 {
				v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			}
		case r.IntN(6) == 0:
			v.Set(reflect.AppendSlice(v.Slice(0, n/2), v.Slice(n/2+1, n)))
		case r.IntN(6) == 0:
			v.Set(reflect.Append(v, v.Index(r.IntN(n))))
		default:
			doctor(r, v.Index(r.IntN(n)))
		}
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString([]string{"", "i-1", "k1", "other"}[r.IntN(4)])
	case reflect.Int, reflect.Int64:
		v.SetInt(numbers[r.IntN(len(numbers))])
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(numbers[r.IntN(len(numbers))]) & 0xff)
	case reflect.Float64:
		v.SetFloat([]float64{0, -1, math.NaN(), math.Inf(1), 1e-300, 1e300}[r.IntN(6)])
	}
}

// TestResumeDoctored: for any snapshot, Resume returns an error or a core that can be stepped. Nothing panics or runs for ever.
func TestResumeDoctored(t *testing.T) {
	refused, took := 0, 0
	for seed := uint64(1); seed <= 2000; seed++ {
		x := &chaos{r: rand.New(rand.NewPCG(seed, 6)), now: Time{Mono: sec, Wall: time.Date(2026, 3, 6, 7, 59, 0, 0, time.UTC)}}
		x.cfg = conf(func(c *Config) { c.Capacity, c.Heartbeat, c.Throttle = 2, true, policy.Throttle{Limit: 0.5, Burst: 3} }, withPolicy(
			policy.Settings{IdleCount: 4, IdleTime: time.Minute, Preemptive: seed%2 == 0}))
		core, err := New(x.cfg, record.Saved{}, true, x.now)
		if err != nil {
			t.Fatal(err)
		}
		play := func(n int) {
			for range n {
				x.now.Mono += time.Duration(x.r.IntN(5)) * sec
				core.Step(x.now, x.event())
				if x.r.IntN(3) == 0 {
					x.cmds = append(x.cmds, core.Take().Commands...)
				}
			}
		}
		play(60)
		if core.bug != nil {
			t.Fatal(core.bug)
		}
		s := core.Snapshot()
		for range 1 + x.r.IntN(4) {
			doctor(x.r, reflect.ValueOf(&s).Elem())
		}
		if core, err = Resume(&s); err != nil {
			refused++
			continue
		}
		took++
		play(60)
		core.Snapshot()
	}
	if refused < 200 || took < 200 {
		t.Errorf("%d snapshots were refused and %d accepted, want at least 200 of each", refused, took)
	}
}
