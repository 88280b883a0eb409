package conformance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// firstMachine calls Increase(1) once in a run, unless there is a machine already.
func (t *trial) firstMachine() *increased {
	if t.memo.first == nil {
		t.mustList()
		if limit := t.info.MaxSize; limit > 0 && len(t.pick(isPresent)) >= limit {
			t.halt("the group is full, so the run cannot make a machine")
			skip("the group is full")
		}
		n, err := t.increase(t.ctx, 1)
		t.memo.first = &increased{1, n, err}
	}
	return t.memo.first
}

func (t *trial) increaseOne() {
	first := t.firstMachine()
	switch {
	case first.err != nil:
		t.halt("no machine was accepted")
		t.failNow("See the message: the account, the limits and the configuration must allow the run at least two machines.", "Increase(1) = %d, and %s", first.n, orNil(first.err))
	case first.n < 1:
		t.halt("no machine was accepted")
		t.failNow("Return how many machines the provider accepted, and an error if that is fewer than asked for.", "Increase(1) = %d without an error", first.n)
	}
}

func (t *trial) appears() {
	if first := t.firstMachine(); first.err != nil || first.n < 1 {
		cannot("Increase failed")
	}
	err := t.await(func(map[string]provider.State) bool { return len(t.pick(isOwn)) > 0 || t.garbled() })
	if unlessLost(err) != nil {
		t.halt("no machine ever came")
		t.failNow("Count a machine as accepted only if the provider accepted it, and report it from then on, as creating.", "Increase accepted a machine, and Update did not report one within %s: %v", t.o.Timeout, err)
	}
	if len(t.pick(isOwn)) == 0 {
		t.halt("the ids of the group cannot be used")
		cannot("the ids of the group cannot be used")
	}
	// Nobody is promised an answer yet, and nobody may panic: the manager may ask when one list shows a machine as running and the next does not.
	if creating := t.pick(func(m *machine) bool { return m.own && m.state == provider.StateCreating }); len(creating) > 0 {
		_, _ = t.connect(t.ctx, creating[0])
	}
}

func (t *trial) boots() {
	if first := t.firstMachine(); first.err != nil || first.n < 1 {
		cannot("Increase failed")
	}
	began := time.Now()
	if err := unlessLost(t.awaitReady(1)); err != nil {
		t.halt("no machine ever ran")
		t.failNow("Report running when a connection may succeed. If machines need longer, give the run more time.", "the first machine was not running within %s: %v", t.o.Timeout, err)
	}
	t.latency("boot", time.Since(began))
}

// increaseCount compares the count that Increase answers with what was asked for, and with what appears.
func (t *trial) increaseCount() {
	const change = "Return the number of machines that the provider accepted: exactly delta, or fewer and the error that stopped the rest."
	if f := t.memo.first; f != nil && f.n > f.delta {
		t.failNow(change, "Increase(%d) = %d", f.delta, f.n)
	}
	delta := min(2, t.o.Machines-1)
	t.makeRoom(delta)
	own := len(t.pick(isOwn))
	n, err := t.increase(t.ctx, delta)
	switch {
	case n < 0 || n > delta:
		t.fail(change, "Increase(%d) = %d", delta, n)
	case n < delta && err == nil:
		t.fail(change, "Increase(%d) = %d without an error", delta, n)
	case provider.KindOf(err) == provider.KindTransient:
		t.fail("Look at the error. One machine could be made before, and since then a second Init looked at the group: it must change nothing that the first one needs.",
			"Increase(%d) = %d, and %s", delta, n, orNil(err))
	case err != nil:
		cannot("Increase(%d) = %d, and %s", delta, n, orNil(err))
	}
	want := own + max(0, min(n, delta))
	if late := t.awaitReady(want); late != nil && len(t.findings) == 0 {
		_ = unlessLost(late)
		t.fail(change, "Increase(%d) = %d, and %d of them ran within %s", delta, n, len(t.pick(isReady))-own, t.o.Timeout)
	}
	if len(t.findings) > 0 {
		t.takeExtra() // it is this fault that they show
	}
}

// concurrent makes all kinds of calls at once, while a watcher lists.
func (t *trial) concurrent() {
	t.needs("increase-count", "decrease-exact")
	id := t.machines(1)[0]
	t.makeRoom(1)
	own := len(t.pick(isOwn))
	var mu sync.Mutex
	report := func(verb string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && !broken(err) {
			t.fail("After Init the methods are called from several goroutines at once. Protect what they share, or use provider.Serial if the type was written for one caller.",
				"%s failed while other calls were running: %v", verb, err)
		}
	}
	removes := !t.memo.failed["decrease-unknown"]
	if removes { // that check may not have been selected
		_, err := t.decrease(t.ctx, unknownID)
		removes = err == nil
	}
	connects := !t.memo.failed["connect-info"]
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 3 {
				_, err := t.lookUp(t.ctx)
				report("Update", err)
			}
		})
		wg.Go(func() {
			if connects {
				_, err := attempt(t.ctx, t.session, "ConnectInfo", func(ctx context.Context) (provider.ConnectInfo, error) { return t.group.ConnectInfo(ctx, id) })
				report("ConnectInfo", err)
			}
		})
		wg.Go(func() {
			if removes {
				_, err := attempt(t.ctx, t.session, "Decrease", func(ctx context.Context) ([]string, error) { return t.group.Decrease(ctx, []string{unknownID}) })
				report("Decrease", err)
			}
		})
	}
	wg.Go(func() {
		_, err := t.increaseRaw(t.ctx, 1)
		report("Increase", err)
	})
	wg.Wait()
	if t.whyHalted() != "" {
		cannot("a call did not return")
	}
	if len(t.findings) > 0 {
		return
	}
	if err := t.awaitReady(own + 1); errors.Is(err, errLate) {
		t.fail("Do not drop what was accepted when another call runs.", "Increase(1) succeeded while other calls were running, and the machine did not run within %s", t.o.Timeout)
	}
}

// callBeyond asks for one machine more than the group can hold, once in a run.
func (t *trial) callBeyond() *increased {
	if t.memo.beyond != nil {
		return t.memo.beyond
	}
	t.needs("increase-count")
	t.makeRoom(1)
	room := t.info.MaxSize - len(t.pick(isPresent))
	if own := len(t.pick(isOwn)); t.info.MaxSize <= 0 || own+room > t.o.Machines {
		skip("the group holds more machines than the run may have at once (%d)", t.o.Machines)
	}
	n, err := t.increase(t.ctx, room+1)
	t.memo.room, t.memo.beyond = room, &increased{room + 1, n, err}
	return t.memo.beyond
}

func (t *trial) increaseBeyond() {
	const change = "Return both: how many machines were accepted, and the error that stopped the rest. Never make more than MaxSize."
	b := t.callBeyond()
	switch room := t.memo.room; {
	case b.n < 0 || b.n > room:
		t.fail(change, "Increase(%d) = %d with room for %d", b.delta, b.n, room)
	case b.err == nil:
		t.fail(change, "Increase(%d) = %d without an error, with room for %d", b.delta, b.n, room)
	}
	for range 3 {
		t.mustList()
		t.pause(min(t.o.Poll, 50*time.Millisecond))
	}
	if extra := t.takeExtra(); len(extra) > 0 {
		t.fail(change, "Increase(%d) = %d, and %d more appeared", b.delta, b.n, len(extra))
	}
}

func (t *trial) limitKind() {
	b := t.callBeyond()
	switch kind := provider.KindOf(b.err); {
	case b.err == nil:
		cannot("Increase beyond the limit returned no error")
	case kind != provider.KindQuota && kind != provider.KindCapacity && kind != provider.KindConfig:
		t.fail("Return provider.KindQuota at a limit of the group or the account, and provider.KindCapacity when the provider has no machine.", "Increase beyond the limit returned an error of kind %v: %v", kind, b.err)
	}
}

func (t *trial) suspendResume() {
	s, ok := t.group.(provider.Suspender)
	if !ok || !t.can(provider.CapabilitySuspendResume) {
		skip("the group cannot suspend")
	}
	id := t.machines(1)[0]
	for _, step := range []struct {
		verb string
		call func(context.Context, []string) ([]string, error)
		want provider.State
	}{{"Suspend", s.Suspend, provider.StateSuspended}, {"Resume", s.Resume, provider.StateRunning}} {
		done, err := do(t, step.verb, func(ctx context.Context) ([]string, error) { return step.call(ctx, []string{id}) })
		if errors.Is(err, provider.ErrSuspendResumeNotSupported) {
			skip("it says that suspend and resume are not supported")
		}
		if err != nil || !slices.Equal(done, []string{id}) {
			t.failNow("Return the ids that were accepted, or provider.ErrSuspendResumeNotSupported.", "%s of %q = %q, and %s", step.verb, id, done, orNil(err))
		}
		err = t.await(func(listed map[string]provider.State) bool { return listed[id] == step.want })
		if unlessLost(err) != nil {
			t.failNow("Report suspending, suspended, resuming and running as the machine goes through them.", "after %s %q was not %s within %s: %v", step.verb, id, step.want, t.o.Timeout, err)
		}
	}
}

// cancelledChanges calls Increase and Decrease with contexts that have ended, or end meanwhile. Whatever they accepted must come.
func (t *trial) cancelledChanges() {
	t.needs("increase-count")
	t.makeRoom(1)
	ended, cancel := context.WithCancel(t.ctx)
	cancel()
	if !t.memo.failed["decrease-unknown"] {
		if _, err := t.decrease(ended, unknownID); err != nil {
			t.transient("Decrease with a context that was cancelled", err)
		}
	}
	t.cancelledIncrease(ended, "that was cancelled")
	t.makeRoom(1)
	middle, cancelMiddle := context.WithCancel(t.ctx)
	time.AfterFunc(time.Millisecond, cancelMiddle)
	t.cancelledIncrease(middle, "that was cancelled meanwhile")
}

func (t *trial) cancelledIncrease(ctx context.Context, name string) {
	own := len(t.pick(isOwn))
	n, err := t.increase(ctx, 1)
	switch {
	case n == 0 && err == nil:
		t.fail("Return ctx.Err() when nothing was accepted because the context ended.", "Increase(1) with a context %s = 0 without an error", name)
	case err != nil:
		t.transient("Increase with a context "+name, err)
	}
	if n != 1 {
		return
	}
	if late := t.awaitReady(own + 1); errors.Is(late, errLate) {
		t.fail("Count only what the provider accepted.", "Increase(1) with a context %s = 1, and the machine did not run within %s", name, t.o.Timeout)
	}
}
