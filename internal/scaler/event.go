package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Time is one reading of the two clocks. Mono is the time elapsed since some fixed moment. It never goes back; deadlines, the throttle,
// idle times and back-off use it. Wall is the calendar time for policies and stored stamps. It may jump both ways.
type Time struct {
	Mono time.Duration
	Wall time.Time
}

// EventKind says what an Event reports, and thereby which of its fields are set.
type EventKind uint8

// The kinds. The fields that are set stand behind each; the others are zero.
const (
	// Requests of callers. Each is answered by exactly one Grant with the same Ticket. The answer to an Acquire may come much later. A wait
	// that EvCancel ends is answered under the ticket of that wait. An EvReplace is denied while no new work is accepted; the lease stands.
	// A request about a lease is never about one that began in the same batch: nobody was told of that yet.
	EvReserve   EventKind = iota + 1 // Key, Ticket
	EvUnreserve                      // Key (no answer)
	EvAcquire                        // Key, Ticket, Deadline (0: none)
	EvCancel                         // Key, Ticket of an EvAcquire or EvReplace: end that wait; ignored if it has ended
	EvRelease                        // Key, Ticket, Serial and Op (which lease: the use of this ordinal of this instance; 0: the one that Key has), Cause (CauseNone; CauseUnhealthy or CauseChangedHostKey: the instance must not be used again; CauseDoubtful: it gets no new lease), Failure (why not)
	EvReplace                        // Key, Ticket, Deadline: give the lease back and wait for one on another instance
	EvReattach                       // Key, Ticket: the caller takes its lease up again
	EvDetach                         // Key, Deadline (no answer): the caller's connection was lost; it has until Deadline to reattach, 0: reattach_after_disconnect

	// What the provider's list says: first the differences from the list before, then EvListed.
	EvAppeared   // ID, Listed: in this list, but not in the one before
	EvChanged    // ID, Listed: in both lists, but Listed differs
	EvMissing    // ID: in the list before, but not in this one
	EvListed     // Since: the list that was requested at Since is complete, and the events before this one reported all its differences
	EvListFailed // Failure: a list call failed or returned an incomplete list; its differences are not reported

	// Results of commands. Op and Serial are those of the command.
	EvIncreased // Op, Count (accepted), Failure, Away
	EvDeleted   // Op, ID, Serial, Failure, Away (no failure or NotFound: accepted)
	EvPrepared  // Op, ID, Serial, Failure, Away, On (the way to the instances failed, and not the instance: for example the jump host)
	EvBeat      // Op, ID, Serial, Failure, Away

	// Events of the manager.
	EvWake      // the time of Batch.Wake has come
	EvUnhealthy // ID, Serial (0: any), Cause, Failure: the shell learned that the instance cannot be used, for example because its host key changed
	EvReload    // Config
	EvDrain     // On: accept no new work and retire idle instances; off: back to normal
	EvShutdown  // On: delete the instances too (delete_instances_on_shutdown). A shutdown cannot be undone
	EvRevokeAll // Cause: end every lease now, because the time that a shutdown waits for them is over

	// EvUnreachable: ID, Serial, On, Failure. The provider cannot say how to reach a ready instance (On), or can again. Meanwhile it gets no
	// new lease.
	EvUnreachable
)

// Event is one thing that happened. It is a flat value, so that passing one does not allocate.
type Event struct {
	Kind     EventKind
	Listed   fleet.Listed
	Cause    record.Cause
	On       bool
	Away     bool // the failure means that the plugin is absent; it says nothing about the provider or an instance
	Key      record.Key
	ID       record.ID
	Ticket   uint64        // chosen by the caller, never 0; copied to the Grant
	Op       uint64        // number of the command that this is the result of; of an EvRelease, see there
	Serial   uint64        // of the instance, so that a late result never reaches another instance of the same ID
	Count    int           // number of instances
	Deadline time.Duration // on Time.Mono
	Since    time.Duration // on Time.Mono
	Failure  failure.Failure
	Config   *Config
}

// partOfList reports whether an event of kind k tells a part of a list. EvListed follows in the same batch.
func (k EventKind) partOfList() bool { return k == EvAppeared || k == EvChanged || k == EvMissing }
