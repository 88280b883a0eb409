package dst

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// load says how jobs arrive.
type load uint8

const (
	loadSteady load = iota
	loadBursts
	loadDiurnal
	loadQuiet
	numLoads
)

// setup describes a world, without its faults.
type setup struct {
	cfg     scaler.Config
	store   bool // state_storage.enabled
	load    load
	every   time.Duration // between two jobs
	burst   int
	hold    time.Duration // the usual maximum of a job's run time
	pollers int
	boot    time.Duration // the usual maximum of a machine's boot time
	wall    time.Time
}

// draw makes the configuration and the load of the world.
func (w *world) draw() {
	d := w.dice.at(streamConfig, 0)
	s := &w.setup
	s.wall = time.Date(2026, 3, 2+d.below(7), 17, 40+d.below(19), d.below(60), 0, time.UTC)
	s.store = d.below(5) > 0
	s.load = load(d.below(int(numLoads)))
	s.hold = pick(d, 10*time.Second, time.Minute, 5*time.Minute)
	s.boot = pick(d, 5*time.Second, 20*time.Second, time.Minute)
	s.burst = 2 + d.below(12)
	s.every = pick(d, time.Second, 4*time.Second, 10*time.Second)
	if d.below(3) == 0 {
		s.pollers = 1 + d.below(4)
	}
	s.cfg = scaler.Config{
		Capacity: pick(d, 1, 1, 2, 3, 5), MaxInstances: pick(d, 0, 1, 2, 3, 5, 8, 12), MaxUses: pick(d, 0, 0, 1, 2, 6),
		UpdateInterval: pick(d, 10*time.Second, 20*time.Second, time.Minute), FailureThreshold: d.below(4), Heartbeat: d.below(2) == 0,
		RequestedDeadline: pick(d, time.Minute, 5*time.Minute), CreatingDeadline: pick(d, 2*time.Minute, 5*time.Minute),
		PreparingDeadline: pick(d, 2*time.Minute, 5*time.Minute), DeletingAlarm: pick(d, 10*time.Minute, time.Hour),
		DeletionRetry: pick(d, 20*time.Second, time.Minute), ReservationDeadline: pick(d, 20*time.Second, 2*time.Minute),
		ReattachAfterRestart: pick(d, 30*time.Second, 5*time.Minute), KeepAbandoned: d.below(2) == 0,
		ForgetAfter: pick(d, 5*time.Minute, 20*time.Minute), Adopt: scaler.AdoptMode(d.below(3)),
	}
	if d.below(4) == 0 {
		s.cfg.ProviderMax = 1 + d.below(10)
	}
	if s.cfg.MaxInstances == 0 && s.cfg.ProviderMax == 0 {
		s.cfg.ProviderMax = 20
	}
	if !s.store {
		s.cfg.Adopt = scaler.AdoptRemove
	}
	s.cfg.Throttle = drawThrottle(d)
	s.cfg.Schedule = w.drawSchedule(d)
	s.cfg.ShutdownDeletionRetry, s.cfg.ShutdownDeletionRetries = pick(d, 0, 5*time.Second, 30*time.Second), pick(d, 0, 1, 6)
	s.cfg.ReattachAfterDisconnect, s.cfg.MissingLists = pick(d, 0, 10*time.Second, 2*time.Minute), pick(d, 0, 2, 5)
	if w.opts.small {
		w.shrinkSetup(d)
	}
	s.cfg = s.cfg.WithDefaults()
}

// shrinkSetup makes a world with few commits.
func (w *world) shrinkSetup(d *dice) {
	s := &w.setup
	s.cfg.MaxInstances, s.cfg.Capacity, s.cfg.ProviderMax = 1+d.below(3), 1+d.below(2), 0
	s.cfg.Heartbeat = d.below(4) == 0
	s.cfg.Schedule = compile(policy.Policy{Settings: policy.Settings{
		IdleCount: d.below(6) / 5, IdleTime: time.Duration(d.below(2)) * 20 * time.Second, Preemptive: d.below(5) == 0}})
	s.every, s.hold, s.pollers, s.boot = 5*time.Second, 20*time.Second, 0, 5*time.Second
}

func drawThrottle(d *dice) policy.Throttle {
	return policy.Throttle{Limit: pick(d, 0, -1, 0.02, 0.2, 2), Burst: pick(d, 0, 1, 2, 5)}
}

// drawSchedule makes policies: usually one that always matches, and some windows.
func (w *world) drawSchedule(d *dice) *policy.Schedule {
	var ps []policy.Policy
	if d.below(6) > 0 {
		ps = append(ps, policy.Policy{Settings: drawSettings(d)})
	}
	switch d.below(4) {
	case 0:
		ps = append(ps, policy.Policy{Periods: []string{"* 18-20 * * *"}, Settings: drawSettings(d)})
	case 1:
		ps = append(ps, policy.Policy{Periods: []string{"0-29 * * * mon-fri", "0-4 19 * * *"}, Timezone: "Europe/Berlin", Settings: drawSettings(d)})
	case 2:
		from := d.below(60)
		ps = append(ps, policy.Policy{Periods: []string{fmt.Sprintf("%d-59 17-18 * * *", from)}, Settings: drawSettings(d)},
			policy.Policy{Periods: []string{"* 19 * * sat,sun"}, Settings: drawSettings(d)})
	}
	return compile(ps...)
}

func drawSettings(d *dice) policy.Settings {
	s := policy.Settings{
		IdleCount: pick(d, 0, 0, 1, 2, 4), IdleTime: pick(d, 0, 20*time.Second, time.Minute, 4*time.Minute),
		ScaleFactor: pick(d, 0, 0, 0.5, 1.1, 1.5), ScaleFactorLimit: pick(d, 0, 0, 2, 6), ScaleFactorMode: policy.FactorMode(d.below(2)),
		Preemptive: d.below(3) == 0,
	}
	if d.below(6) == 0 {
		t := drawThrottle(d)
		s.Throttle = &t
	}
	return s
}

func compile(ps ...policy.Policy) *policy.Schedule {
	s, err := policy.Compile(ps, time.UTC)
	if err != nil {
		panic(err) // a bug in this file
	}
	return s
}

// maxInstances is the smaller of the limits of the group and of the provider; 0: no limit.
func maxInstances(c *scaler.Config) int {
	if c.MaxInstances <= 0 || c.ProviderMax <= 0 {
		return max(c.MaxInstances, c.ProviderMax, 0)
	}
	return min(c.MaxInstances, c.ProviderMax)
}

// reload changes one part of the configuration, as an operator can at any time.
func (w *world) reload(what Fault) {
	d, c := &w.dice, w.cfg
	switch what {
	case FaultReloadCapacity:
		c.Capacity = 1 + d.below(5)
	case FaultReloadUses:
		c.MaxUses = pick(d, 0, 1, 2, 4)
	case FaultReloadLimit:
		c.MaxInstances = 1 + d.below(10)
		if d.below(3) == 0 {
			c.ProviderMax = 1 + d.below(10)
		}
	case FaultReloadPolicies:
		c.Schedule = w.drawSchedule(d)
	case FaultReloadThrottle:
		c.Throttle = drawThrottle(d)
	case FaultReloadAdopt:
		c.Adopt = scaler.AdoptMode(d.below(3))
		c.Heartbeat = d.below(2) == 0
	}
	w.configure(c)
}

// configure reloads the core with c.
func (w *world) configure(c scaler.Config) {
	w.cfg = c
	w.throttleChanged()
	w.widen()
	kept := c
	w.step(scaler.Event{Kind: scaler.EvReload, Config: &kept})
}
