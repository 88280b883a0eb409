package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Errors of calls. Test for them with errors.Is: most calls wrap them or return a type that matches them.
var (
	// ErrNoCapacity means that Reserve found no capacity. The error is a *NoCapacityError. Try again later, or leave the job to others.
	ErrNoCapacity = errors.New("no capacity")
	// ErrShutdown means that the manager is shutting down or has stopped.
	ErrShutdown = errors.New("taskscaler is shutting down")
	// ErrDraining means that the manager accepts no new work.
	ErrDraining = errors.New("taskscaler is draining and accepts no new work")
	// ErrUndrained means that an Undrain ended this Drain.
	ErrUndrained = errors.New("the drain was undone: taskscaler accepts new work again")
	// ErrUnknownKey means that no lease exists under this key.
	ErrUnknownKey = errors.New("there is no lease under this key")
	// ErrInvalidKey means that a key cannot be used: it is empty, longer than 512 bytes, not UTF-8, or has a character that cannot be printed.
	ErrInvalidKey = errors.New("the key cannot be used")
	// ErrDuplicateKey means that the key already has a lease, a wait or a reservation.
	ErrDuplicateKey = errors.New("the key already has a lease, a wait or a reservation")
)

// CheckKey returns nil for a key under which a lease or a reservation can begin, and else an error that wraps ErrInvalidKey.
func CheckKey(key string) error {
	if err := safetext.CheckName(key); err != nil {
		return fmt.Errorf("%w: it %w", ErrInvalidKey, err)
	}
	return nil
}

// NoCapacityError says why Reserve refused a reservation. The counts are those of that moment. errors.Is matches it with ErrNoCapacity.
type NoCapacityError struct {
	Key         string       // the key of the reservation
	Cause       record.Cause // CauseNoCapacity; or CausePolicy: in preemptive mode with an idle target of 0, a retry does not help
	Sentence    string       // Cause in words
	Idle        int          // free slots of ready instances
	Acquired    int          // leases
	Unavailable int          // draining and deleting instances
	Unhealthy   int          // unclaimed instances
	Unready     int          // requested, creating and preparing instances
}

// Error returns the counts in the form that users of fleeting know.
func (e *NoCapacityError) Error() string {
	return fmt.Sprintf("no capacity: no immediately available capacity (idle:%d,acquired:%d,unavailable:%d,unhealthy:%d,unready:%d)",
		e.Idle, e.Acquired, e.Unavailable, e.Unhealthy, e.Unready)
}

// Is matches ErrNoCapacity.
func (e *NoCapacityError) Is(target error) bool { return target == ErrNoCapacity }

// WaitError says why the manager refused a call, or why a wait ended without a lease: Acquire, Replace, Reattach, Reserve or Release.
// errors.Is matches it with context.DeadlineExceeded if the wait took too long, with context.Canceled if the caller stopped waiting, and
// otherwise with ErrShutdown, ErrDraining, ErrUnknownKey or ErrDuplicateKey.
type WaitError struct {
	Key      string        // the key of the call
	Cause    record.Cause  // why the call ended
	Why      record.Cause  // for CauseDeadline and CauseCancelled: what the caller was waiting for; CauseNone: it did not wait
	Waited   time.Duration // how long the caller waited
	Sentence string        // Cause, Waited and Why in words, and the message of the failure behind Why, if any
}

// Error returns the key and Sentence.
func (e *WaitError) Error() string {
	sentence := e.Sentence
	if sentence == "" {
		sentence = waitSentence(e, "")
	}
	return fmt.Sprintf("no lease for %q: %s", e.Key, sentence)
}

// refusal returns the error of a call that a answered.
func refusal(key record.Key, a *answer) *WaitError {
	e := &WaitError{Key: string(key), Cause: a.cause, Why: a.why, Waited: a.waited}
	e.Sentence = waitSentence(e, a.latest)
	return e
}

func waitSentence(e *WaitError, latest string) string {
	var b strings.Builder
	b.WriteString(observe.Denial(e.Cause))
	if e.Waited > 0 {
		fmt.Fprintf(&b, " after %s", words.Span(e.Waited))
	}
	if e.Why != record.CauseNone {
		fmt.Fprintf(&b, "; it was waiting %s%s", observe.Wait(e.Why), observe.Latest(latest))
	}
	return b.String()
}

// Is matches the error variable that belongs to Cause, such as ErrShutdown for CauseShutdown.
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

// RevokedError is the cause of [Lease.Context] when the manager revoked the lease, for example because its instance was lost or is
// unhealthy.
type RevokedError struct {
	Key      string       // the key of the lease
	Instance string       // the ID of the instance
	Cause    record.Cause // why the lease was revoked
	Sentence string       // Cause in words, and the reported failure, if any
}

// Error returns the key, the instance and Sentence.
func (e *RevokedError) Error() string {
	sentence := e.Sentence
	if sentence == "" {
		sentence = observe.Revoke(e.Cause)
	}
	return fmt.Sprintf("the lease of %q on instance %s was revoked: %s", e.Key, e.Instance, sentence)
}

// GroupMismatchError means that the store holds the state of another group. New returns it and does not change the store.
type GroupMismatchError struct {
	Stored   string // ProviderInfo.ID in the store
	Provider string // ProviderInfo.ID that the provider reports now
}

// Error names both groups and says what to do.
func (e *GroupMismatchError) Error() string {
	return fmt.Sprintf("the stored state belongs to group %q, but the provider now manages %q: give this group a state directory of its own, "+
		"or correct plugin_config", e.Stored, e.Provider)
}

// LeftoverError lists the instances that Shutdown tried to delete and could not, and counts instances that may still appear.
type LeftoverError struct {
	Instances []string // IDs, ascending
	Expected  int      // instances that may still appear, because their creates are not finished
	Paused    bool     // another manager seems to use the group; see Status.Paused
}

// Error names the instances and says what to do.
func (e *LeftoverError) Error() string {
	var parts []string
	if n := len(e.Instances); n > 0 {
		parts = append(parts, fmt.Sprintf("%s could not be deleted before the end of the shutdown and may still cost money: %s", words.Count(n, "instance"),
			strings.Join(e.Instances, ", ")))
	}
	if e.Expected > 0 {
		parts = append(parts, fmt.Sprintf("up to %s may still appear from creates that are not finished", words.Count(e.Expected, "instance")))
	}
	if e.Paused {
		parts = append(parts, "creates were paused, because another manager seems to use the group: stop it, or give it another group")
	}
	return strings.Join(parts, "; ") + "; start the manager on the same state and stop it again, or delete them in the provider's console"
}

// StopError says why the manager stopped itself. Everything that callers were told is in the store, so a new manager can continue from it.
type StopError struct {
	Reason string // what happened, in words
	Err    error  // the error behind it, and what to do
}

// Error returns Reason and Err.
func (e *StopError) Error() string { return "taskscaler stopped: " + e.Reason + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *StopError) Unwrap() error { return e.Err }
