package taskscaler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// together puts requests about key into the inbox so that the loop gets them all at once, after an event about the instance of old. It returns their
// answers in order.
func (f *fixture) together(t *testing.T, old *Lease, requests ...scaler.Event) []answer {
	t.Helper()
	waiters := make([]*waiter, len(requests))
	done := make(chan struct{})
	f.inbox.ask(func(*loop) {
		defer close(done)
		f.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: old.id, Cause: record.CauseUnhealthy}, nil)
		for i := range requests {
			waiters[i] = f.spare.get(requests[i].Kind, requests[i].Key)
			f.inbox.put(&requests[i], waiters[i])
		}
	})
	<-done
	answers := make([]answer, len(requests))
	for i, w := range waiters {
		<-w.ready
		answers[i] = w.answer
	}
	return answers
}

// TestRequestsOfAnOlderLeaseSpareTheNewOne: a lease is revoked while its key is acquired again and the caller of the old lease still acts. What that
// caller asks for does not end the new lease, and nobody else gets its slot.
func TestRequestsOfAnOlderLeaseSpareTheNewOne(t *testing.T) {
	for name, request := range map[string]func(*Lease) scaler.Event{
		"Replace":       func(*Lease) scaler.Event { return scaler.Event{Kind: scaler.EvReplace, Key: "job"} },
		"Release":       func(*Lease) scaler.Event { return scaler.Event{Kind: scaler.EvRelease, Key: "job"} },
		"Reattach":      func(*Lease) scaler.Event { return scaler.Event{Kind: scaler.EvReattach, Key: "job"} },
		"Lease.Release": func(l *Lease) scaler.Event { return *l.releaseEvent(&scaler.Event{}) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t)
				defer f.end()
				old := f.acquire("job")
				got := f.together(t, old, scaler.Event{Kind: scaler.EvAcquire, Key: "job"}, request(old), scaler.Event{Kind: scaler.EvAcquire, Key: "other"})
				next, other := got[0].lease, got[2].lease
				if next == nil || other == nil || got[1].kind != scaler.GrantDenied || got[1].cause != record.CauseUnknownKey {
					t.Fatalf("answers %+v", got)
				}
				if next.Err() != nil || other.Err() != nil || next.id == other.id && next.slot == other.slot {
					t.Errorf("new: %v on %s/%d, other: %v on %s/%d", next.Err(), next.id, next.slot, other.Err(), other.id, other.slot)
				}
				var revoked *RevokedError
				if !errors.As(old.Err(), &revoked) {
					t.Errorf("the old lease ended with %v", old.Err())
				}
				if err := next.Release(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLateReleaseOfAnOlderLease: the release by the handle of a revoked lease comes when its key has another lease already.
func TestLateReleaseOfAnOlderLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		old := f.acquire("job")
		next := f.together(t, old, scaler.Event{Kind: scaler.EvAcquire, Key: "job"})[0].lease
		if err := f.release(t.Context(), old.releaseEvent(&scaler.Event{})); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("the late release: %v", err)
		}
		if next.Err() != nil {
			t.Errorf("the new lease ended: %v", next.Err())
		}
	})
}

// TestUnwantedLeaseIsGivenBackAlone: a slot is granted to a caller that no longer waits. Before it is given back, its instance fails and another caller
// gets a lease under the same key. That one stays.
func TestUnwantedLeaseIsGivenBackAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		if err := f.acquire("before").Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		gone, next := f.spare.get(scaler.EvAcquire, "job"), f.spare.get(scaler.EvAcquire, "job")
		gone.state.Store(waiterAbandoned)
		f.inbox.ask(func(l *loop) {
			l.inspect = func(b *scaler.Batch) {
				if len(b.Grants) == 0 {
					return
				}
				l.inspect = nil
				f.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: b.Grants[0].ID, Cause: record.CauseUnhealthy}, nil)
				f.inbox.put(&scaler.Event{Kind: scaler.EvAcquire, Key: "job"}, next)
			}
			f.inbox.put(&scaler.Event{Kind: scaler.EvAcquire, Key: "job"}, gone)
		})
		<-next.ready
		synctest.Wait()
		if l := next.answer.lease; l == nil || l.Err() != nil {
			t.Fatalf("the answer %+v", next.answer)
		}
	})
}
