package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Batch is what the steps since the last Take decided. Its parts are used in this order, always: commit Changes in one transaction;
// only then answer Grants (a caller hears of a revocation before its machine is deleted), dispatch Commands and publish Facts; then arm
// one timer for Wake. If the commit fails, the same batch is tried again with nothing dispatched and nothing stepped. All of it is valid
// until the next Step.
type Batch struct {
	Changes   record.Changes
	Commands  []Command
	Grants    []Grant
	Facts     []Fact
	Wake      time.Duration // on Time.Mono, strictly after the last step; 0: nothing to wait for
	Expecting bool          // the provider's list is expected to change soon: ask at update_interval_when_expecting
	Done      bool          // after EvShutdown: nothing is left to do
	Bug       error         // an illegal move was refused: a bug of ours. Commit nothing, stop the manager; the store is intact
}

// CommandKind says what the shell is to do.
type CommandKind uint8

// The commands. Each is answered by exactly one event with its Op.
const (
	CmdIncrease  CommandKind = iota + 1 // ask the provider for Count instances → EvIncreased
	CmdDelete                           // ask the provider to delete ID → EvDeleted. Those of one batch go out as one call
	CmdPrepare                          // get connect info, connect, run the ready command → EvPrepared
	CmdHeartbeat                        // ask for ID's heartbeat → EvBeat
)

// String is the command's name.
func (k CommandKind) String() string {
	switch k {
	case CmdIncrease:
		return "increase"
	case CmdDelete:
		return "delete"
	case CmdPrepare:
		return "prepare"
	case CmdHeartbeat:
		return "heartbeat"
	}
	return "invalid"
}

// Command is one thing for the shell to do, after the commit.
type Command struct {
	Kind    CommandKind
	Op      uint64
	ID      record.ID
	Serial  uint64
	Count   int
	Timeout time.Duration // how long it may take; 0: the shell's own bound
}

// GrantKind says what a caller is told.
type GrantKind uint8

// The answers.
const (
	GrantLease      GrantKind = iota + 1 // Acquire, Replace: ID, Serial, Slot, Use, Waited
	GrantReserved                        // Reserve
	GrantReattached                      // Reattach: ID, Serial, Slot, Use
	GrantReleased                        // Release
	GrantDenied                          // any of them: Cause
	GrantRevoked                         // without a request (Ticket 0): the lease of Key on ID ended, Cause says why
)

// Grant is one answer to a caller, after the commit.
type Grant struct {
	Kind   GrantKind
	Cause  record.Cause
	Ticket uint64
	Key    record.Key
	ID     record.ID
	Serial uint64
	Slot   int
	Use    int           // the how-manieth use of the instance this is, from 1
	Waited time.Duration // from the Acquire to the grant
}

// FactKind says what a Fact records.
type FactKind uint8

// The decisions and happenings that are worth keeping.
const (
	FactCreate     FactKind = iota + 1 // Count instances were asked for; Decision has the numbers
	FactAppeared                       // ID was first seen; Op is the create that explains it, 0: none does
	FactReady                          // ID can be leased; Took is the time since it was first seen
	FactRetire                         // ID gets no new lease; Cause says why
	FactDelete                         // the provider is asked to delete ID (Count: how often so far, from 1)
	FactGone                           // ID is deleted; Took is its life
	FactLost                           // ID is gone without our asking
	FactReturned                       // ID, lost or missing before, is listed again
	FactRevoke                         // the lease of Key on ID was ended; Cause
	FactDeny                           // Key was refused; Cause
	FactWait                           // the waiters' situation changed: Count wait, of which Booting for machines on their way, the rest for Cause
	FactPolicy                         // another policy holds: Count is its index, -1 none
	FactRefused                        // a create failed: Failure; Took is the back-off until the next
	FactFruitless                      // a boot came to nothing (Count in a row; On: it was ready, and died young): ID, Cause; Took is the back-off
	FactListFailed                     // Failure (Count in a row)
	FactUnclaimed                      // ID is held: nobody knows whose it is
	FactAlarm                          // ID could not be deleted for instance_deadlines.deleting_alarm
	FactForeign                        // ids come that nobody asked for: creates and deletes pause (On) or go on
	FactAdopt                          // ID was taken in; Cause or an intent explains it
	FactReload                         // a configuration took effect
	FactIntent                         // a create of Count instances came to nothing, or less (Cause)
	FactPrepare                        // preparing ID failed and is tried again: Failure
	FactHold                           // Count instances that are needed are not asked for: Cause; Decision has the numbers
	FactBreaker                        // the runaway breaker opens (On; Count boots in a row came to nothing, Took is the pause) or closes
)

var factNames = [...]string{
	"", "create", "appeared", "ready", "retire", "delete", "gone", "lost", "returned", "revoke", "deny", "wait", "policy", "refused",
	"fruitless", "list_failed", "unclaimed", "alarm", "foreign", "adopt", "reload", "intent", "prepare", "hold", "breaker",
}

// String is the fact's name as it stands in logs.
func (k FactKind) String() string {
	if int(k) < len(factNames) {
		return factNames[k]
	}
	return "invalid"
}

// Fact records one decision or happening, with its cause. It is data; whoever publishes it makes the sentences.
type Fact struct {
	Kind     FactKind
	Cause    record.Cause
	On       bool
	At       Time
	ID       record.ID
	Key      record.Key
	Op       uint64
	Count    int
	Booting  int
	Peak     int // FactRetire for idleness: the most slots needed at once in the last idle_time
	Left     int // FactRetire for idleness: the supply without ID
	Took     time.Duration
	Failure  failure.Failure
	Event    int             // index, among the events stepped into this batch, of the one that brought it; -1: the start of the manager
	Policy   int             // index of the policy that held, -1 none
	Decision policy.Decision // the sizing that led here (FactCreate, FactHold, FactRetire for idleness, FactWait)
}
