package scaler

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestRequestOfAnOlderLease: a lease ends, and its key gets another one in the same batch. The other requests of this batch are about the lease that
// their callers know, so they do not end the new one.
func TestRequestOfAnOlderLease(t *testing.T) {
	for _, kind := range []EventKind{EvRelease, EvReplace, EvReattach, EvDetach} {
		r := standing(t, 3)
		old := r.acquire("job")
		b := r.do(Event{Kind: EvUnhealthy, ID: old.ID, Cause: record.CauseUnhealthy}, Event{Kind: EvAcquire, Key: "job", Ticket: 100},
			Event{Kind: kind, Key: "job", Ticket: 101}, Event{Kind: EvAcquire, Key: "other", Ticket: 102})
		at := r.leaseOf("job")
		if at == "" || at == r.leaseOf("other") || at == string(old.ID)+"/0" {
			t.Errorf("after event %d, job has %q and other %q", kind, at, r.leaseOf("other"))
		}
		for _, g := range b.Grants {
			if g.Ticket == 101 && (g.Kind != GrantDenied || g.Cause != record.CauseUnknownKey) {
				t.Errorf("event %d is answered %+v", kind, g)
			}
		}
		r.run(r.core.cfg.ReattachAfterDisconnect + 10*sec)
		r.want("the lease of job later", r.leaseOf("job"), at)
		r.release("job")
	}
}

// TestReleaseNamesItsLease: a release that names its lease does not end a later one of the same key, also on the same instance.
func TestReleaseNamesItsLease(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity = 2 })
	named := func(g Grant) func(*Event) { return func(e *Event) { e.Serial, e.Op = g.Serial, uint64(g.Use) } }
	first := r.acquire("job")
	r.release("job")
	second := r.acquire("job")
	if second.ID != first.ID || second.Use != 2 {
		t.Fatalf("the second lease: %+v after %+v", second, first)
	}
	if g := r.ask(EvRelease, "job", named(first)); g.Kind != GrantDenied || g.Cause != record.CauseUnknownKey {
		t.Errorf("the release of an earlier use: %+v", g)
	}
	elsewhere := second
	elsewhere.Serial++
	if g := r.ask(EvRelease, "job", named(elsewhere), because(record.CauseUnhealthy)); g.Kind != GrantDenied {
		t.Errorf("the release of a lease on another instance: %+v", g)
	}
	r.want("the state of the instance", r.state(second.ID), record.Ready)
	if g := r.ask(EvRelease, "job", named(second)); g.Kind != GrantReleased {
		t.Errorf("the release of the lease: %+v", g)
	}
}

// TestReleaseOfAnOldRecord: a lease that an older version stored has no ordinal of its use. It can be released by its handle, after other leases too.
func TestReleaseOfAnOldRecord(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity = 2 })
	r.acquire("job")
	for i := range r.saved.Instances {
		for n := range r.saved.Instances[i].Leases {
			r.saved.Instances[i].Leases[n].Use = 0
		}
	}
	r.restart(sec)
	held := r.ask(EvReattach, "job")
	r.acquire("other")
	if g := r.ask(EvRelease, "job", func(e *Event) { e.Serial, e.Op = held.Serial, uint64(held.Use) }); g.Kind != GrantReleased {
		t.Errorf("the release: %+v of %+v", g, held)
	}
}

// TestReleaseEndsADetachment: a lease is released while its caller is away. The next lease of the key is not detached, and it is revoked in time if its
// own caller goes away.
func TestReleaseEndsADetachment(t *testing.T) {
	r := standing(t, 2)
	r.acquire("job")
	r.do(Event{Kind: EvDetach, Key: "job"})
	r.release("job")
	r.acquire("job")
	r.run(r.core.cfg.ReattachAfterDisconnect + 10*sec)
	r.want("the lease of a caller that is there", r.leaseOf("job") != "", true)
	r.do(Event{Kind: EvDetach, Key: "job"})
	r.run(r.core.cfg.ReattachAfterDisconnect + 10*sec)
	r.want("the lease of a caller that went away", r.leaseOf("job"), "")
}
