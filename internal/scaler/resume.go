package scaler

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Bounds of what [Resume] and a replay of events accept. Sums of two such times do not overflow, and a step stays cheap.
const (
	maxMono     = time.Duration(1) << 61 // 73 years since the manager started
	maxSpan     = time.Duration(1) << 62 // 146 years
	maxCapacity = 1 << 20
)

// Plausible returns an error if c contains a value that no manager accepts as configuration. It protects the reader of a journal that was
// tampered with.
func (c *Config) Plausible() error {
	if c.Capacity > maxCapacity {
		return fmt.Errorf("scaler: capacity %d is out of range", c.Capacity)
	}
	for _, d := range []time.Duration{
		c.UpdateInterval, c.RequestedDeadline, c.CreatingDeadline, c.PreparingDeadline, c.DeletingAlarm, c.DeletionRetry,
		c.ShutdownDeletionRetry, c.ReservationDeadline, c.ReattachAfterRestart, c.ReattachAfterDisconnect, c.ForgetAfter,
	} {
		if d > maxSpan {
			return fmt.Errorf("scaler: a deadline of %v is out of range", d)
		}
	}
	return nil
}

// Plausible reports whether a manager can have read t from its clocks.
func (t Time) Plausible() bool { return t.Mono <= maxMono && t.Mono >= -maxMono }

// plausible checks what the methods of resumption do not check.
func (s *Snapshot) plausible() error {
	if err := s.Config.Plausible(); err != nil {
		return err
	}
	switch {
	case !s.Now.Plausible():
		return fmt.Errorf("scaler: the snapshot's time %v is out of range", s.Now.Mono)
	case s.Register.Capacity != max(s.Config.Capacity, 1) || s.Register.MaxUses != max(s.Config.MaxUses, 0):
		return errors.New("scaler: the snapshot's register does not have the limits of its configuration")
	case s.Paused && len(s.Foreign) == 0:
		return errors.New("scaler: the snapshot is paused, but names no instance that caused it")
	case len(s.Window.Values) != len(s.Window.Ends):
		return errors.New("scaler: the snapshot's window does not have one end for each value")
	case len(s.Machines) != len(s.Register.Instances) || len(s.Creates) != len(s.Register.Intents) ||
		len(s.Reservations) != len(s.Register.Reservations):
		return errors.New("scaler: the snapshot's bookkeeping does not match its register")
	}
	return nil
}

// resumption is the state of one Resume.
type resumption struct {
	c     *Core
	s     *Snapshot
	armed []*timer
}

// arm notes that t must be armed as in s.
func (r *resumption) arm(t *timer, s TimerSnapshot) {
	if s.Seq > 0 {
		t.at, t.seq = s.At, s.Seq
		r.armed = append(r.armed, t)
	}
}

func (r *resumption) machines() error {
	for n := range r.s.Machines {
		s := &r.s.Machines[n]
		m := r.c.newMachine(r.c.reg.Get(r.s.Register.Instances[n].ID))
		m.op, m.tries, m.beatFail, m.accepted, m.gaveUp, m.alarmed = s.Op, s.Tries, s.BeatFail, s.Accepted, s.GaveUp, s.Alarmed
		m.strayed, m.absentAt, m.absentSeq, m.absentMul, m.acceptedAt = s.Strayed, s.AbsentAt, s.AbsentSeq, s.AbsentMul, s.AcceptedAt
		if m.beatFail > 0 {
			r.c.ailing++
		}
		if s.Forget {
			m.boot.kind = timerForget
		}
		if s.Forget && s.Boot.Seq > 0 && m.State != record.Gone && m.State != record.Lost {
			return fmt.Errorf("scaler: the snapshot has a date to forget instance %q, which is %s", m.ID, m.State)
		}
		r.arm(&m.boot, s.Boot)
		r.arm(&m.retry, s.Retry)
	}
	return nil
}

func (r *resumption) creates() error {
	for n, in := range r.c.reg.Intents() {
		s := &r.s.Creates[n]
		w := r.c.newIntent(in)
		w.confirm, w.restored, w.reused, w.since, w.asked, w.seen, w.late = s.Confirm, s.Restored, s.Reused, s.Since, s.Asked, s.Seen, s.Late
		r.arm(&w.timer, s.Timer)
	}
	return nil
}

func (r *resumption) reservations() error {
	for n, res := range r.c.reg.SortedReservations() {
		t := &timer{kind: timerReserve, of: res}
		res.Attached = t
		r.arm(t, r.s.Reservations[n])
	}
	return nil
}

func (r *resumption) waiters() error {
	for n := range r.s.Waiters {
		s := &r.s.Waiters[n]
		if r.c.busyKey(s.Key) {
			return fmt.Errorf("scaler: in the snapshot, key %q waits twice or also has a lease", s.Key)
		}
		r.arm(&r.c.queue.push(s.Key, s.Ticket, s.Not, s.Since).deadline, s.Deadline)
	}
	return nil
}

func (r *resumption) orphans() error {
	for n, s := range r.s.Orphans {
		if n > 0 && r.s.Orphans[n-1].Key >= s.Key {
			return fmt.Errorf("scaler: the orphans of the snapshot are not in order at %q", s.Key)
		}
		t := &timer{kind: timerOrphan, of: s.Key}
		r.c.orphans[s.Key] = t
		r.arm(t, s.Timer)
	}
	return nil
}

// timers arms what was armed, with the same sequence numbers: time and number alone decide which timer is due first.
func (r *resumption) timers() error {
	slices.SortFunc(r.armed, bySeq)
	h := &r.c.timers
	for n, t := range r.armed {
		if n > 0 && r.armed[n-1].seq == t.seq || t.seq > r.s.TimerSeq {
			return fmt.Errorf("scaler: timer %d occurs twice in the snapshot, or is above its last number", t.seq)
		}
		h.heap = append(h.heap, t)
		t.pos = len(h.heap)
		h.up(t.pos - 1)
	}
	h.seq = r.s.TimerSeq
	return nil
}

func (r *resumption) absent() error {
	for _, id := range r.s.Lists.Absent {
		i := r.c.reg.Get(id)
		if i == nil || machineOf(i).absentPos > 0 || i.State == record.Gone || i.State == record.Lost {
			return fmt.Errorf("scaler: the snapshot lists instance %q as absent twice, or although it is not in the fleet", id)
		}
		r.c.lists.absent = append(r.c.lists.absent, machineOf(i))
		machineOf(i).absentPos = len(r.c.lists.absent)
	}
	return nil
}

func (r *resumption) breaker() error {
	s := &r.s.Breaker
	b := breaker{open: s.Open, judged: s.Judged, since: s.Since}
	for _, list := range []struct {
		from []TrialSnapshot
		to   *[]trial
	}{{s.Young, &b.young}, {s.Unseen, &b.unseen}} {
		for _, t := range list.from {
			i := r.c.reg.Get(t.ID)
			if i == nil || i.State != record.Ready {
				return fmt.Errorf("scaler: in the snapshot, instance %q is on trial but not ready", t.ID)
			}
			*list.to = append(*list.to, trial{machineOf(i), t.Ready})
		}
	}
	r.c.breaker = b
	return nil
}

func (r *resumption) batch() error {
	s, c := &r.s.Batch, r.c
	c.batch.Commands, c.batch.Grants, c.batch.Facts = s.Commands, s.Grants, s.Facts
	if s.Create == 0 {
		return nil
	}
	c.batchCreate, c.batchCreateAt = c.reg.Intent(s.Create), s.CreateAt
	if c.batchCreate == nil || s.CreateAt < 0 || s.CreateAt >= len(s.Commands) || s.Commands[s.CreateAt].Op != s.Create {
		return fmt.Errorf("scaler: the snapshot's batch has no command for its create %d", s.Create)
	}
	return nil
}

// resumeStrangers restores the arrivals and the losses. A snapshot of an older version has no names of them, and of the losses only the
// number: they count as just lost.
func (c *Core) resumeStrangers(s *Snapshot) {
	for n, at := range s.Foreign {
		a := arrival{at: at}
		if n < len(s.ForeignIDs) {
			a.id = s.ForeignIDs[n]
		}
		c.foreign = append(c.foreign, a)
	}
	for _, d := range s.Debts {
		c.debts = append(c.debts, debt{d.ID, d.At})
	}
	if len(s.Debts) == 0 {
		for range min(max(s.Repairs, 0), maxUnclaimed) {
			c.debts = append(c.debts, debt{at: s.Now.Mono})
		}
	}
}

func (c *Core) resumeWindow(s *WindowSnapshot) {
	c.window = window{current: s.Current, since: s.Since}
	for n, v := range s.Values {
		c.window.past = append(c.window.past, sample{value: v, end: s.Ends[n]})
	}
}
