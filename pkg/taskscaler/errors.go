package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Errors of calls; test for them with errors.Is.
var (
	// ErrNoCapacity says that a Reserve found no place; the error is a *NoCapacityError.
	ErrNoCapacity = errors.New("no capacity")
	// ErrShutdown says that the manager is shutting down, or has.
	ErrShutdown = errors.New("taskscaler is shutting down")
	// ErrDraining says that the manager takes no new work.
	ErrDraining = errors.New("taskscaler is draining and takes no new work")
	// ErrUndrained ends a Drain that an Undrain overtook.
	ErrUndrained = errors.New("the drain was undone, new work is taken again")
	// ErrUnknownKey says that there is no lease under this key.
	ErrUnknownKey = errors.New("no lease is held under this key")
	// ErrDuplicateKey says that the key already has a lease, a wait or a reservation.
	ErrDuplicateKey = errors.New("the key already has a lease, a wait or a reservation")
)

// NoCapacityError says why Reserve refused a reservation, with the counts of that moment. It is ErrNoCapacity.
type NoCapacityError struct {
	Key         string
	Cause       record.Cause // CausePolicy: preemptive mode with nothing kept idle, which no waiting changes
	Sentence    string       // the cause in words
	Idle        int          // free slots of ready instances
	Acquired    int          // leases
	Unavailable int          // draining and deleting instances
	Unhealthy   int          // unclaimed instances
	Unready     int          // requested, creating and preparing instances
}

// Error contains the counts in the form that users of fleeting know.
func (e *NoCapacityError) Error() string {
	return fmt.Sprintf("no capacity: no immediately available capacity (idle:%d,acquired:%d,unavailable:%d,unhealthy:%d,unready:%d)",
		e.Idle, e.Acquired, e.Unavailable, e.Unhealthy, e.Unready)
}

// Is makes the error ErrNoCapacity.
func (e *NoCapacityError) Is(target error) bool { return target == ErrNoCapacity }

// WaitError says why a call under a key was refused or ended: Acquire, Replace, Reattach, Reserve or Release. It is
// context.DeadlineExceeded if the wait took too long, context.Canceled if the caller gave up, and ErrShutdown, ErrDraining, ErrUnknownKey or
// ErrDuplicateKey for these causes.
type WaitError struct {
	Key      string
	Cause    record.Cause  // why the call ended
	Why      record.Cause  // with CauseDeadline and CauseCancelled: what the caller waited for until then; CauseNone: it did not wait
	Waited   time.Duration // how long the caller waited
	Sentence string        // Cause, Waited and Why in words, with the words of the failure behind them
}

// Error is the sentence, with the key before it.
func (e *WaitError) Error() string {
	sentence := e.Sentence
	if sentence == "" {
		sentence = waitSentence(e, "")
	}
	return fmt.Sprintf("no lease for %q: %s", e.Key, sentence)
}

// refusal is the error of a call that was answered by a. latest are the words of the last create or preparation that failed.
func refusal(key record.Key, a *answer) *WaitError {
	e := &WaitError{Key: string(key), Cause: a.cause, Why: a.why, Waited: a.waited}
	e.Sentence = waitSentence(e, a.latest)
	return e
}

func waitSentence(e *WaitError, latest string) string {
	var b strings.Builder
	b.WriteString(observe.Denial(e.Cause))
	if e.Waited > 0 {
		fmt.Fprintf(&b, " after %s", e.Waited.Round(time.Millisecond))
	}
	if e.Why != record.CauseNone {
		fmt.Fprintf(&b, "; it was waiting %s%s", observe.Wait(e.Why), observe.Latest(latest))
	}
	return b.String()
}

// Is relates the cause to the sentinel errors.
func (e *WaitError) Is(target error) bool {
	switch e.Cause {
	case record.CauseDeadline:
		return target == context.DeadlineExceeded
	case record.CauseCancelled:
		return target == context.Canceled
	case record.CauseShutdown:
		return target == ErrShutdown
	case record.CauseDraining:
		return target == ErrDraining
	case record.CauseUnknownKey:
		return target == ErrUnknownKey
	case record.CauseDuplicate:
		return target == ErrDuplicateKey
	case record.CauseNoCapacity:
		return target == ErrNoCapacity
	}
	return false
}

// RevokedError is the cause of a lease's context when the manager revoked the lease: its instance was lost, or must not be used any more.
type RevokedError struct {
	Key      string
	Instance string
	Cause    record.Cause
	Sentence string // the cause in words, with the words of whoever reported it
}

// Error is the sentence, with the key and the instance before it.
func (e *RevokedError) Error() string {
	sentence := e.Sentence
	if sentence == "" {
		sentence = observe.Revoke(e.Cause)
	}
	return fmt.Sprintf("the lease of %q on instance %s was revoked: %s", e.Key, e.Instance, sentence)
}

// GroupMismatchError says that the store holds the state of another group.
type GroupMismatchError struct {
	Stored, Provider string // ProviderInfo.ID then and now
}

// Error says what can be done.
func (e *GroupMismatchError) Error() string {
	return fmt.Sprintf("the stored state belongs to group %q, but the provider now manages %q: give this group a state directory of its own, "+
		"or correct plugin_config", e.Stored, e.Provider)
}

// LeftoverError lists the instances that a shutdown was to delete and could not, and counts those that may appear only now.
type LeftoverError struct {
	Instances []string // ascending
	Expected  int      // instances of creates that are not finished
}

// Error names them, and says what to do.
func (e *LeftoverError) Error() string {
	var parts []string
	if n := len(e.Instances); n > 0 {
		parts = append(parts, fmt.Sprintf("%d instances could not be deleted before the end of the shutdown and may still cost money: %s", n,
			strings.Join(e.Instances, ", ")))
	}
	if e.Expected > 0 {
		parts = append(parts, fmt.Sprintf("up to %d instances may still appear from creates that are not finished", e.Expected))
	}
	return strings.Join(parts, "; ") + "; start the manager on the same state and stop it again, or look after them in the provider's console"
}

// StopError says why the manager stopped by itself. The store has everything that was ever answered.
type StopError struct {
	Reason string
	Err    error
}

// Error tells reason and cause.
func (e *StopError) Error() string { return "taskscaler stopped: " + e.Reason + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Err }
