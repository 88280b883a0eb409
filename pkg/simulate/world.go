package simulate

import (
	"strconv"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// phase says how a machine spends its time.
type phase uint8

const (
	phaseBoot  phase = iota // from the create until ready
	phaseIdle               // ready, no job
	phaseBusy               // at least one job
	phaseDrain              // retired, without a job, not yet gone
	phases
)

// machine is an instance of the cloud, with its account.
type machine struct {
	number  uint64
	serial  uint64
	id      record.ID
	created int64
	since   int64 // start of the phase
	phase   phase
	retired bool
	used    bool
	changed bool             // it is in engine.changed
	shown   cloudmodel.State // state in the latest list; 0: not in the list
	jobs    []int32
	first   [2]int32 // memory for the first jobs, without an allocation
}

// to moves m to another phase and accounts for the phase that ends.
func (m *machine) to(e *engine, p phase) {
	e.acc.phase(m.phase, m.since, e.now)
	e.acc.count[m.phase]--
	e.acc.count[p]++
	m.phase, m.since = p, e.now
}

// take puts job i on m.
func (m *machine) take(e *engine, i int32) {
	if len(m.jobs) == 0 {
		m.to(e, phaseBusy)
	}
	m.used = true
	m.jobs = append(m.jobs, i)
}

// give takes job i off m.
func (m *machine) give(e *engine, i int32) {
	for n, k := range m.jobs {
		if k == i {
			m.jobs[n] = m.jobs[len(m.jobs)-1]
			m.jobs = m.jobs[:len(m.jobs)-1]
			break
		}
	}
	if len(m.jobs) > 0 {
		return
	}
	if m.retired {
		m.to(e, phaseDrain)
	} else {
		m.to(e, phaseIdle)
	}
}

// fact handles one fact that the core reports.
func (e *engine) fact(f *scaler.Fact) {
	switch f.Kind {
	case scaler.FactPolicy:
		e.preemptive = e.o.Group.Policies.At(f.At.Wall).Settings.Preemptive
		e.acc.policy(e.now, f.Count)
	case scaler.FactReady:
		if m := e.machineOf(f.ID); m != nil && m.phase == phaseBoot {
			m.to(e, phaseIdle)
		}
	case scaler.FactRetire:
		m := e.machineOf(f.ID)
		if m == nil {
			return
		}
		m.retired = true
		if m.phase != phaseBusy {
			m.to(e, phaseDrain)
		}
	}
}

// machineOf finds a machine by the ID from newMachine.
func (e *engine) machineOf(id record.ID) *machine {
	n, err := strconv.ParseUint(string(id[2:]), 10, 64)
	if err != nil {
		return nil
	}
	return e.machines.get(n)
}

func (e *engine) newMachine(n uint64) {
	m := &machine{number: n, id: record.ID("i-" + strconv.FormatUint(n, 10)), created: e.now, since: e.now}
	m.jobs = m.first[:0]
	e.machines.put(n, m)
	e.acc.count[phaseBoot]++
	e.acc.created++
	e.acc.peak = max(e.acc.peak, e.machines.count)
	e.note(m)
}

// command gives a command to the cloud. The result comes when the simulated call returns.
func (e *engine) command(cmd *scaler.Command) {
	ev := scaler.Event{Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial}
	switch cmd.Kind {
	case scaler.CmdIncrease:
		r := e.cloud.Create(time.Duration(e.now), cmd.Count)
		for n := range r.Made {
			e.newMachine(r.First + uint64(n))
		}
		ev.Kind, ev.Count, ev.Failure = scaler.EvIncreased, r.Told, r.Failure
		e.answer(r.Delay, ev)
	case scaler.CmdDelete:
		ev.Kind = scaler.EvDeleted
		m := e.machineOf(cmd.ID)
		if m == nil {
			e.answer(0, ev)
			return
		}
		r := e.cloud.Delete(time.Duration(e.now), m.number)
		ev.Failure = r.Failure
		e.note(m)
		e.answer(r.Delay, ev)
	case scaler.CmdPrepare:
		ev.Kind = scaler.EvPrepared
		var delay time.Duration
		if m := e.machineOf(cmd.ID); m != nil {
			m.serial = cmd.Serial
			e.bySerial.put(cmd.Serial, m)
			delay = e.ready.Sample(cloudmodel.Uniform(e.o.Seed, cloudmodel.StreamReady, m.number))
		}
		e.answer(delay, ev)
	}
}

// late corrects a result that is out of date: a machine that disappeared while it was being prepared cannot be reached.
func (e *engine) late(ev scaler.Event) scaler.Event {
	if ev.Kind == scaler.EvPrepared && e.machineOf(ev.ID) == nil {
		ev.Failure = failure.Failure{Kind: failure.NotFound, Message: "the machine is gone"}
	}
	return ev
}

// cloudChanged handles changes that the cloud made without a command. Jobs on a machine that disappeared lose their connection at once. The
// core learns of everything else from the next list.
func (e *engine) cloudChanged() error {
	e.diffs = e.cloud.Advance(time.Duration(e.now), e.diffs[:0])
	for _, d := range e.diffs {
		m := e.machines.get(d.Number)
		if m == nil {
			continue
		}
		e.note(m)
		if d.Kind.Gone() {
			if err := e.gone(m, d.Kind); err != nil {
				return err
			}
		}
	}
	return e.after()
}

// gone ends a machine. Its jobs have to start again on another one.
func (e *engine) gone(m *machine, why cloudmodel.EventKind) error {
	for len(m.jobs) > 0 {
		i := m.jobs[0]
		e.killed(i)
		ev := scaler.Event{Kind: scaler.EvRelease, Key: e.jobs[i].key, Ticket: uint64(i) + 1, Cause: record.CauseUnhealthy}
		if err := e.step(ev); err != nil {
			return err
		}
		e.retry = append(e.retry, i)
	}
	e.acc.gone(e, m, why)
	e.bySerial.drop(m.serial)
	e.machines.drop(m.number)
	return nil
}

// note records that m has changed since the last list, and schedules a list.
func (e *engine) note(m *machine) {
	if !m.changed {
		m.changed = true
		e.changed = append(e.changed, m)
	}
	switch {
	case e.o.Instant:
		e.listNext(e.now)
	case e.expects:
	case e.listAt <= e.lastList:
		e.listNext(e.tick(e.now))
	}
}

// tick is the first regular list at or after t. Lists that show nothing new are counted, but not simulated.
func (e *engine) tick(t int64) int64 {
	d := int64(e.o.UpdateInterval)
	return e.lastList + max((t-e.lastList+d-1)/d, 1)*d
}

// hurry moves the next list earlier, because the group is now expected to change.
func (e *engine) hurry() {
	d, short := int64(e.o.UpdateInterval), int64(e.o.UpdateIntervalWhenExpecting)
	last := e.lastList + (e.now-e.lastList)/d*d
	e.listNext(max(last+short, e.now))
}

// listNext puts the next list at t.
func (e *engine) listNext(t int64) {
	if e.listAt == t && e.listAt > e.lastList {
		return
	}
	e.listTurn++
	e.listAt = t
	e.heap.push(event{at: t, kind: kindList, turn: e.listTurn})
}

// list gives the core the provider's list: first each change, then the message that the list is complete.
func (e *engine) list() error {
	e.lastList, e.listAt = e.now, 0
	if len(e.changed) == 0 && !e.core.AwaitsList() {
		if e.expects {
			e.listNext(e.now + int64(e.o.UpdateIntervalWhenExpecting))
		}
		return nil // the list shows nothing new
	}
	changed := e.changed
	e.changed = e.shown[:0]
	for _, m := range changed {
		m.changed = false
		if err := e.show(m); err != nil {
			return err
		}
	}
	clear(changed)
	e.shown = changed
	if err := e.step(scaler.Event{Kind: scaler.EvListed, Since: time.Duration(e.now)}); err != nil {
		return err
	}
	switch {
	case e.listAt > e.lastList: // a list was requested in the meantime
	case e.expects:
		e.listNext(e.now + int64(e.o.UpdateIntervalWhenExpecting))
	case len(e.changed) > 0:
		e.listNext(e.tick(e.now + 1))
	}
	return e.after()
}

// show gives the core the state of m in the list, if it has changed.
func (e *engine) show(m *machine) error {
	state, _ := e.cloud.State(m.number)
	if state == m.shown {
		return nil
	}
	ev := scaler.Event{Kind: scaler.EvChanged, ID: m.id, Listed: fleet.ListedOf(state.ProviderWord())}
	switch {
	case state == 0:
		ev.Kind, ev.Listed = scaler.EvMissing, fleet.ListedAbsent
	case m.shown == 0:
		ev.Kind = scaler.EvAppeared
	}
	m.shown = state
	return e.step(ev)
}
