package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Batch is what the core decided in the steps since the last Take. Use its parts in this order, always:
//
//  1. commit Changes in one transaction;
//  2. answer Grants, dispatch Commands and publish Facts, so that a caller hears of a revocation before its instance is deleted;
//  3. arm one timer for Wake.
//
// If the commit fails, retry the same batch. Until it succeeds, dispatch nothing and step nothing. The slices are valid until the next
// Step.
type Batch struct {
	Changes   record.Changes
	Commands  []Command
	Grants    []Grant
	Facts     []Fact
	Wake      time.Duration // on Time.Mono, always after the last step; 0: the core waits for no time
	Expecting bool          // the provider's list will probably change soon: list at update_interval_when_expecting
	Done      bool          // after EvShutdown: nothing is left to do
	Bug       error         // a bug in the core: an illegal move was refused. Commit nothing and stop the manager; the store is intact
}

// CommandKind says what the shell must do.
type CommandKind uint8

// The commands. The shell answers each with exactly one event that carries its Op.
const (
	CmdIncrease  CommandKind = iota + 1 // ask the provider for Count instances → EvIncreased
	CmdDelete                           // ask the provider to delete ID → EvDeleted. All deletes of a batch are sent in one call
	CmdPrepare                          // get connect info, connect, run the ready command → EvPrepared
	CmdHeartbeat                        // ask for ID's heartbeat → EvBeat
)

// String returns the command's name.
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

// Command is one thing that the shell does after the commit.
type Command struct {
	Kind    CommandKind
	Op      uint64
	ID      record.ID
	Serial  uint64
	Count   int
	Timeout time.Duration // time limit; 0: the shell's own
}

// GrantKind says what the caller is told.
type GrantKind uint8

// The answers.
const (
	GrantLease      GrantKind = iota + 1 // Acquire, Replace: ID, Serial, Slot, Use, Waited
	GrantReserved                        // Reserve
	GrantReattached                      // Reattach: ID, Serial, Slot, Use
	GrantReleased                        // Release
	GrantDenied                          // the request of any kind was refused: Cause
	GrantRevoked                         // unsolicited (Ticket 0): the lease of Key on ID ended, for Cause
)

// Grant is one answer to a caller. It is sent after the commit.
type Grant struct {
	Kind   GrantKind
	Cause  record.Cause
	Ticket uint64
	Key    record.Key
	ID     record.ID
	Serial uint64
	Slot   int
	Use    int           // the ordinal of this use of the instance, starting at 1
	Waited time.Duration // from the Acquire to the grant
}

// FactKind says what a Fact records.
type FactKind uint8

// The kinds. What is behind each says which fields of Fact are set, and what they mean.
const (
	FactCreate     FactKind = iota + 1 // the provider is asked for Count instances; Decision has the numbers
	FactAppeared                       // ID was listed for the first time; Op is the create that explains it, 0: no create does
	FactReady                          // ID can be leased; Took is the time since it was first seen
	FactRetire                         // ID gets no new lease; Cause says why
	FactDelete                         // the provider is asked to delete ID, for the Count-th time (from 1)
	FactGone                           // ID is deleted; Took is its lifetime
	FactLost                           // ID vanished although we did not delete it
	FactReturned                       // ID, which was lost or missing, is listed again
	FactRevoke                         // the lease of Key on ID was revoked, for Cause
	FactDeny                           // a request of Key was denied, for Cause
	FactWait                           // why callers wait changed: Count wait, Booting of them for booting instances, the rest for Cause
	FactPolicy                         // another policy became active: Count is its index, -1: none
	FactRefused                        // a create failed with Failure. Count: consecutive failures; Took: the back-off until the next create
	FactFruitless                      // the boot of ID failed, for Cause (On: an early failure). Without ID: a create showed nothing in time (On: the provider had accepted it). Count: failures so far; Took: the back-off
	FactListFailed                     // a list call failed with Failure. Count: consecutive failures. Published at 1, 10, 100, …
	FactUnclaimed                      // ID is unclaimed: it is counted and left alone, because its owner is unknown. Without ID: Count more are
	FactAlarm                          // ID is not gone after instance_deadlines.deleting_alarm. On: the provider accepted its delete
	FactForeign                        // creates, and deletes of what we did not create, are paused (On) or resumed; Count instances appeared that we did not ask for
	FactAdopt                          // ID was adopted, for Cause or because the create Op explains it
	FactReload                         // a configuration took effect
	FactIntent                         // Count instances of the create Op did not appear, for Cause. On: the provider had accepted them
	FactPrepare                        // preparing ID failed with Failure. It is retried unless the instance is unusable
	FactHold                           // Count needed instances are not created, for Cause; Decision has the numbers
	FactBreaker                        // the runaway breaker opened (On; Count: consecutive failed boots; Took: the back-off) or closed
	FactListed                         // a list succeeded, after Count consecutive failures

	// FactUnreachable: ID gets no new lease (On), because the provider cannot say how to reach it (Failure), or gets leases again (not On).
	FactUnreachable
)

var factNames = [...]string{
	"", "create", "appeared", "ready", "retire", "delete", "gone", "lost", "returned", "revoke", "deny", "wait", "policy", "refused",
	"fruitless", "list_failed", "unclaimed", "alarm", "foreign", "adopt", "reload", "intent", "prepare", "hold", "breaker", "listed", "unreachable",
}

// String returns the fact's name as logs show it.
func (k FactKind) String() string {
	if int(k) < len(factNames) {
		return factNames[k]
	}
	return "invalid"
}

// Fact records one decision or event, with its cause. It is data only; the code that publishes it writes the text.
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
	By       EventKind       // for CauseUnhealthy: the event that said so; EvChanged: lists that showed it as not running; 0: unknown
	Event    int             // index of the event that caused this fact, among the events of this batch; -1: the start of the manager
	Policy   int             // index of the active policy; -1: none
	Decision policy.Decision // the sizing decision behind this fact (FactCreate, FactHold, FactWait, FactRetire for idleness)
}
