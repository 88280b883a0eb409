package taskscaler

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Status returns what the manager knows at this moment. It also works while commits fail (see Status.Stale). Errors: ErrShutdown or
// *StopError after the manager has stopped, and the cause of ctx.
func (t *Taskscaler) Status(ctx context.Context) (Status, error) { return t.StatusOf(ctx, math.MaxInt) }

// StatusOf is Status with at most so many instances, those with the lowest IDs. Status.MoreInstances counts the others. With a limit, its cost hardly
// depends on the size of the fleet.
func (t *Taskscaler) StatusOf(ctx context.Context, instances int) (Status, error) {
	s, err := query(ctx, t, func(l *loop) Status { return l.status(instances) })
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	ready := t.Ready()
	s.Ready = ready == nil
	if ready != nil {
		s.NotReady = ready.Error()
	}
	return s, nil
}

// Counts returns Status.Counts only. Its cost does not depend on the number of instances, so it can be called often. The errors are those
// of Status.
func (t *Taskscaler) Counts(ctx context.Context) (Counts, error) {
	c, err := query(ctx, t, func(l *loop) Counts {
		sum := l.core.Summary()
		if l.trouble != nil {
			sum = l.before
		}
		return countsOf(&sum)
	})
	if err != nil {
		return Counts{}, fmt.Errorf("counts: %w", err)
	}
	return c, nil
}

// Capacity returns the limits of the manager, from its configuration and from the provider's limit. It never blocks.
func (t *Taskscaler) Capacity() Capacity {
	cfg := t.config()
	limit := int(t.limit.Load())
	if limit == math.MaxInt || limit < 0 {
		limit = 0
	}
	if cfg.MaxInstances > 0 && (limit == 0 || cfg.MaxInstances < limit) {
		limit = cfg.MaxInstances
	}
	return Capacity{PerInstance: cfg.CapacityPerInstance, Instances: limit, Slots: mulCapped(limit, cfg.CapacityPerInstance)}
}

// mulCapped multiplies without overflow.
func mulCapped(a, b int) int {
	if a > 0 && b > math.MaxInt/a {
		return math.MaxInt
	}
	return a * b
}

// Holds reports whether a lease exists under key, also one whose caller is disconnected. The errors are those of Status.
func (t *Taskscaler) Holds(ctx context.Context, key string) (bool, error) {
	held, err := query(ctx, t, func(l *loop) bool {
		_, _, ok := l.core.Lease(record.Key(key))
		return ok
	})
	if err != nil {
		return false, fmt.Errorf("lease of %q: %w", key, err)
	}
	return held, nil
}

// Wait says why the Acquire or Replace of key is waiting. ok is false if no call waits under this key. While commits fail, the manager takes no
// call, so it does not know which calls wait: ok is then true for every key, the cause is record.CauseStore, and Position is 0. The errors are
// those of Status.
func (t *Taskscaler) Wait(ctx context.Context, key string) (w WaitStatus, ok bool, err error) {
	found, err := query(ctx, t, func(l *loop) *WaitStatus {
		v, ok := l.core.Wait(record.Key(key))
		switch {
		case l.trouble != nil:
			v = scaler.WaitView{Key: record.Key(key), Cause: record.CauseStore}
		case !ok:
			return nil
		}
		w := l.waitStatus(&v)
		return &w
	})
	if err != nil {
		return WaitStatus{}, false, fmt.Errorf("wait of %q: %w", key, err)
	}
	if found == nil {
		return WaitStatus{}, false, nil
	}
	return *found, true, nil
}

// query runs f on the loop and waits for its result.
func query[R any](ctx context.Context, t *Taskscaler, f func(*loop) R) (R, error) {
	var none R
	result := make(chan R, 1)
	if !t.inbox.ask(func(l *loop) { result <- f(l) }) {
		return none, t.stopped()
	}
	select {
	case r := <-result:
		return r, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-t.dead:
		return none, t.stopped()
	}
}

// status returns the loop's part of StatusOf. While a commit is retried, the core is ahead of the store, so the status does not show it.
func (l *loop) status(instances int) Status {
	t := l.t
	cfg := t.config()
	_, wall := t.clock.Now()
	sum := l.core.Summary()
	if l.trouble != nil {
		sum = l.before
	}
	s := Status{
		Name: cfg.Name, At: wall, Started: sum.Started, Draining: sum.Closed, ShuttingDown: sum.Shutdown, Paused: sum.Paused, Stale: l.trouble != nil,
		Group: t.groupStatus(cfg), Policy: policyStatus(&sum), Counts: countsOf(&sum), Waiting: waitingStatus(&sum), Plugin: t.pluginStatus(), Lists: t.listsStatus(), Failing: t.failing.list(),
		Commit: commitStatus(l.trouble), Sizing: sizingStatus(&sum),
		Instances: []InstanceStatus{}, Waiters: []WaitStatus{}, Intents: []IntentStatus{},
	}
	if sum.BackoffFor > 0 {
		s.Backoff = &BackoffStatus{Until: wall.Add(sum.BackoffFor - (t.clock.Mono() - l.last)), Cause: sum.BackoffCause.String(),
			Latest: sum.Latest}
	}
	s.Hold, s.Breaker = holdStatus(&sum), breakerStatus(&sum)
	if s.Breaker != nil {
		s.Breaker.Latest = sum.Latest
	}
	if l.trouble != nil {
		return s
	}
	l.core.Instances(func(v scaler.InstanceView) bool {
		if len(s.Instances) < instances {
			s.Instances = append(s.Instances, instanceStatus(&v))
		} else {
			s.MoreInstances++
		}
		return true
	})
	l.core.Waiters(func(v scaler.WaitView) bool {
		s.Waiters = append(s.Waiters, l.waitStatus(&v))
		return true
	})
	l.core.Intents(func(r record.Intent) bool {
		s.Intents = append(s.Intents, IntentStatus{Asked: r.Asked, Open: r.Open, Doubt: r.Doubt, Since: time.Unix(0, r.At), Answered: r.Answered})
		return true
	})
	return s
}

func (t *Taskscaler) groupStatus(cfg *Config) GroupStatus {
	g := GroupStatus{
		ID: t.info.ID, Version: t.info.Version, BuildInfo: t.info.BuildInfo, Capacity: cfg.CapacityPerInstance, MaxInstances: max(cfg.MaxInstances, 0),
		MaxUses: max(cfg.MaxUseCount, 0),
	}
	if limit := int(t.limit.Load()); limit != math.MaxInt {
		g.MaxSize = limit
	}
	for _, c := range t.caps {
		g.Capabilities = append(g.Capabilities, string(c))
	}
	return g
}

func policyStatus(s *scaler.Summary) PolicyStatus {
	p := &s.Active.Settings
	return PolicyStatus{
		Position: s.Active.Index + 1, IdleCount: p.IdleCount, IdleTime: p.IdleTime, ScaleFactor: p.ScaleFactor, ScaleFactorLimit: p.ScaleFactorLimit,
		ScaleFactorMode: p.ScaleFactorMode.String(), Preemptive: p.Preemptive,
	}
}

func sizingStatus(s *scaler.Summary) SizingStatus {
	return SizingStatus{Sentence: observe.Wanted(&s.Decision, observe.PolicyName(s.Active.Index, nil), 0), Decision: s.Decision}
}

func countsOf(s *scaler.Summary) Counts {
	return Counts{
		Creating: s.Creating, Preparing: s.Preparing, ReadyCount: s.Ready, Draining: s.Draining, Deleting: s.Deleting, Unclaimed: s.Unclaimed,
		Idle: s.Idle, Requested: s.Requested, Doubt: s.Doubt, Leases: s.Leases, Waiters: s.Waiters, Reservations: s.Reservations, Free: s.OpenSlots,
	}
}

func waitingStatus(s *scaler.Summary) WaitingStatus {
	if s.Waiters == 0 {
		return WaitingStatus{}
	}
	return WaitingStatus{Cause: s.WaitCause.String(), Booting: s.Booting, Sentence: observe.Waiting(s.Waiters, s.Booting, s.WaitCause)}
}

func holdStatus(s *scaler.Summary) *HoldStatus {
	if s.Held == record.CauseNone {
		return nil
	}
	n := s.Decision.Wanted - s.Decision.Grow
	return &HoldStatus{Count: n, Cause: s.Held.String(), Sentence: observe.Held(&s.Decision, s.Held)}
}

func breakerStatus(s *scaler.Summary) *BreakerStatus {
	if !s.Breaker {
		return nil
	}
	return &BreakerStatus{Failures: s.Fruitless + s.DiedYoung}
}

func (t *Taskscaler) pluginStatus() PluginStatus {
	s := PluginStatus{Unanswered: t.work.abandoned.status()}
	if away := t.health.away.Load(); away != nil {
		s.Away, s.Error = true, (*away).Error()
	}
	return s
}

func (t *Taskscaler) listsStatus() ListsStatus {
	u := t.health.lists.Load()
	if u == nil {
		return ListsStatus{}
	}
	return ListsStatus{Failing: true, Since: &u.since, Failures: u.failures, Error: u.words}
}

func commitStatus(tr *trouble) CommitStatus {
	if tr == nil {
		return CommitStatus{}
	}
	return CommitStatus{Failing: true, Since: &tr.since, Failures: tr.failures, Error: tr.err.Error()}
}

func instanceStatus(v *scaler.InstanceView) InstanceStatus {
	s := InstanceStatus{
		ID: string(v.ID), State: v.State.String(), Listed: v.Listed.String(), Origin: v.Origin.String(), Unreachable: v.Unreachable, Uses: v.Uses, Claims: v.Claims,
		Created: stamp(v.CreatedAt), Since: stamp(v.SinceAt), Ready: stamp(v.ReadyAt), Leases: make([]LeaseStatus, 0, len(v.Leases)),
	}
	if v.State == record.Ready && len(v.Leases) == 0 {
		s.Idle = stamp(v.IdleAt)
	}
	if v.Cause != record.CauseNone {
		s.Cause = v.Cause.String()
	}
	for _, l := range v.Leases {
		s.Leases = append(s.Leases, LeaseStatus{Key: string(l.Key), Slot: l.Slot, Since: time.Unix(0, l.At), Detached: l.Detached})
	}
	return s
}

func stamp(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns)
	return &t
}

// waitStatus adds the time since the last step to the waiting time that the core knows, and the failure behind the wait to its cause.
func (l *loop) waitStatus(v *scaler.WaitView) WaitStatus {
	return WaitStatus{
		Key: string(v.Key), Position: v.Position, Waited: v.For + l.t.clock.Mono() - l.last, Cause: v.Cause.String(),
		Sentence: "waiting " + observe.Wait(v.Cause) + observe.Latest(l.behind(v.Cause)),
	}
}
