package conformance

import (
	"slices"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	exactly    = "Remove the machines that are named and no other, and return the ids whose removal was accepted."
	goneCounts = "Count an id that is gone, or that is being removed, as accepted: look for it before you call the provider, or take its \"not found\" as success."
)

// removes fails the check if a Decrease did not accept exactly these ids.
func (t *trial) removes(change string, ids []string, done []string, err error) {
	want := slices.Compact(slices.Sorted(slices.Values(ids)))
	if err != nil || !slices.Equal(slices.Compact(slices.Sorted(slices.Values(done))), want) {
		t.fail(change, "Decrease(%q) = %q, and %s", ids, done, orNil(err))
	}
}

// others fails the check if a machine disappeared that nobody removed.
func (t *trial) others(change, after string) {
	t.mustList()
	t.confirmLost()
	if lost := t.takeLost(); len(lost) > 0 {
		t.fail(change, "after %s: %s", after, texts(lost))
	}
}

func (t *trial) decreaseEmpty() {
	t.machines(1)
	for _, none := range [][]string{nil, {}} {
		if done, err := t.decrease(t.ctx, none...); err != nil || len(done) > 0 {
			t.fail("Return nil, nil for an empty list.", "Decrease of nothing = %q, and %s", done, orNil(err))
		}
	}
	t.others("Return nil, nil for an empty list, before any call of the provider.", "Decrease of nothing")
}

func (t *trial) decreaseUnknown() {
	t.machines(1)
	done, err := t.decrease(t.ctx, unknownID)
	t.removes(goneCounts, []string{unknownID}, done, err)
	t.others(exactly, "Decrease of an unknown id")
}

// decreaseExact removes one of two machines, once in a run.
func (t *trial) decreaseExact() {
	ids := t.machines(2)
	t.memo.victim = ids[len(ids)-1]
	done, err := t.decrease(t.ctx, t.memo.victim)
	t.removes(exactly, []string{t.memo.victim}, done, err)
	t.others(exactly, "Decrease of "+t.memo.victim)
}

func (t *trial) decreaseGone() {
	t.needs("decrease-exact")
	if t.memo.victim == "" {
		t.memo.victim = t.machines(1)[0]
		if _, err := t.decrease(t.ctx, t.memo.victim); err != nil {
			cannot("Decrease failed: %v", err)
		}
	}
	if err := unlessLost(t.awaitGone(t.memo.victim)); err != nil {
		t.failNow("Stop reporting a machine when the provider no longer has it. Return the id from Decrease only if the removal was accepted.", "Decrease accepted %q, and Update still reported it after %s", t.memo.victim, t.o.Timeout)
	}
	t.memo.gone = t.memo.victim
}

func (t *trial) decreaseOnceKnown() {
	t.needs("decrease-exact", "decrease-gone")
	if t.memo.gone == "" {
		id := t.machines(1)[0]
		if _, err := t.decrease(t.ctx, id); err != nil {
			cannot("Decrease failed: %v", err)
		}
		if err := t.awaitGone(id); err != nil {
			cannot("the machine did not go: %v", err)
		}
		t.memo.gone = id
	}
	done, err := t.decrease(t.ctx, t.memo.gone)
	t.removes(goneCounts, []string{t.memo.gone}, done, err)
	t.others(exactly, "Decrease of a machine that was gone")
}

// aboutGone asks about a machine that is gone.
func (t *trial) aboutGone() {
	t.needs("decrease-exact", "decrease-gone", "connect-unknown", "heartbeat-unknown")
	if t.memo.gone == "" {
		cannot("no machine was removed before")
	}
	if _, err := t.connect(t.ctx, t.memo.gone); provider.KindOf(err) != provider.KindNotFound {
		t.fail("Return provider.Errorf(provider.KindNotFound, …) when the provider does not have the machine any more.", "ConnectInfo of a machine that is gone returned %s", orNil(err))
	}
	h, ok := t.group.(provider.Heartbeater)
	if !ok || !t.can(provider.CapabilityHeartbeat) {
		return
	}
	if err := t.beat(t.ctx, h, t.memo.gone); err == nil {
		t.fail("Return an error of provider.KindNotFound: a machine that is gone is not healthy.", "Heartbeat of a machine that is gone returned nil")
	}
}

func (t *trial) decreaseRepeated() {
	t.needs("decrease-exact", "decrease-gone", "decrease-once-known")
	ids := t.machines(2)
	id := ids[len(ids)-1]
	for _, call := range []string{"the first", "the second"} {
		done, err := t.decrease(t.ctx, id)
		if call == "the first" && err != nil {
			cannot("Decrease failed: %v", err)
		}
		t.removes(goneCounts, []string{id}, done, err)
	}
	t.others(exactly, "Decrease of "+id+" was repeated")
	if err := unlessLost(t.awaitGone(id)); err != nil && len(t.findings) == 0 {
		t.fail(goneCounts, "Decrease of %q was repeated, and it did not go: %v", id, err)
	}
}

func (t *trial) decreaseTwice() {
	t.needs("decrease-exact", "decrease-gone", "decrease-repeated")
	ids := t.machines(2)
	twice := []string{ids[1], ids[1]}
	done, err := t.decrease(t.ctx, twice...)
	t.removes("Remove each id once, however often it is named.", twice, done, err)
	t.others(exactly, "Decrease of an id that was named twice")
	if len(t.findings) > 0 {
		_, _ = t.decrease(t.ctx, ids[1])
	}
	if err := unlessLost(t.awaitGone(ids[1])); err != nil && len(t.findings) == 0 {
		t.fail("Remove each id once, however often it is named.", "%q was named twice in one Decrease, and did not go: %v", ids[1], err)
	}
}

// heartbeatSick makes a machine unhealthy, looks whether Heartbeat finds it, and removes it.
func (t *trial) heartbeatSick() {
	h := t.heartbeater()
	t.needs("decrease-exact")
	if t.o.Sicken == nil {
		skip("the run cannot make a machine unhealthy")
	}
	id := t.machines(1)[0]
	if err := t.o.Sicken(t.ctx, t.group, id); err != nil {
		cannot("the machine could not be made unhealthy: %v", err)
	}
	if err := t.beat(t.ctx, h, id); provider.KindOf(err) != provider.KindUnhealthy {
		t.fail("Return an error of provider.KindUnhealthy, or provider.ErrInstanceUnhealthy, for a machine that must not be used again.", "Heartbeat of an unhealthy machine returned %s", orNil(err))
	}
	if _, err := t.decrease(t.ctx, id); err == nil && !t.memo.failed["decrease-gone"] {
		_ = t.awaitGone(id)
	}
}
