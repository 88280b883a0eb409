package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Time is one reading of the two clocks. Mono is time elapsed since any fixed moment and never goes back: deadlines, throttle, idle
// times and back-off are measured on it. Wall is the calendar's: policies and stored stamps read it; it may jump both ways.
type Time struct {
	Mono time.Duration
	Wall time.Time
}

// EventKind says what an Event reports, and so which of its fields count.
type EventKind uint8

// What the core can be told. The fields that count stand behind each; the rest are zero.
const (
	// Callers. Each is answered by exactly one Grant with the same Ticket (an Acquire may be answered much later).
	EvReserve   EventKind = iota + 1 // Key, Ticket
	EvUnreserve                      // Key (no answer)
	EvAcquire                        // Key, Ticket, Deadline (0: none)
	EvCancel                         // Key, Ticket of the EvAcquire or EvReplace that the caller gave up; answered under that ticket if it still waits, else ignored
	EvRelease                        // Key, Ticket, Cause (CauseNone; CauseUnhealthy or CauseChangedHostKey: the instance must not be used again)
	EvReplace                        // Key, Ticket, Deadline: give the lease back and wait for one on another instance; refused while no new work is taken (the lease stands)
	EvReattach                       // Key, Ticket: take the lease up again
	EvDetach                         // Key (no answer): the caller's connection was lost; it has reattach_after_disconnect to come back

	// The observer: differences between two lists, then the list itself.
	EvAppeared   // ID, Listed: in this list, not in the one before
	EvChanged    // ID, Listed: in both, with another word
	EvMissing    // ID: in the list before, not in this one
	EvListed     // Since: a complete list has been reported by the events before this one; it was asked for at Since
	EvListFailed // Failure: a list could not be had, or was not complete (its differences are not reported)

	// Results of commands; Op and Serial are the command's.
	EvIncreased // Op, Count (accepted), Failure, Away
	EvDeleted   // Op, ID, Serial, Failure, Away (no failure or NotFound: accepted)
	EvPrepared  // Op, ID, Serial, Failure, Away
	EvBeat      // Op, ID, Serial, Failure, Away

	// The manager itself.
	EvWake      // the time that Batch.Wake asked for has come
	EvUnhealthy // ID, Serial (0: any), Cause: the shell learned that the instance cannot be used (a changed host key, say)
	EvReload    // Config
	EvDrain     // On: take no new work and retire what is idle; off: back to normal
	EvShutdown  // On: delete the instances too (delete_instances_on_shutdown). There is no way back
	EvRevokeAll // Cause: end every lease now (the shutdown's patience is over)
)

// Event is one thing that happened. It is a flat value, so that passing one allocates nothing.
type Event struct {
	Kind     EventKind
	Listed   fleet.Listed
	Cause    record.Cause
	On       bool
	Away     bool // the failure is the plugin's absence: it says nothing about the provider or an instance
	Key      record.Key
	ID       record.ID
	Ticket   uint64        // chosen by the caller, never 0; echoed in the Grant
	Op       uint64        // number of the command that this is the result of
	Serial   uint64        // the instance's, so that a late result never hits another machine of the same ID
	Count    int           // instances
	Deadline time.Duration // on Time.Mono
	Since    time.Duration // on Time.Mono
	Failure  failure.Failure
	Config   *Config
}
