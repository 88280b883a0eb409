package taskscaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// FactKind says what a [Fact] is about. The attribute "fact" of log lines and the command's output use the same words.
type FactKind string

// The kinds of fact. Each comment names the fields that matter. Kind and At are always set, and Cause is set if there is a reason.
const (
	FactCreate     FactKind = "create"      // the provider is asked for Count instances; Decision has the numbers
	FactAppeared   FactKind = "appeared"    // Instance was listed for the first time; Cause, if set, says why it is not used
	FactReady      FactKind = "ready"       // Instance can be leased; Took is the time since it was first listed
	FactRetire     FactKind = "retire"      // Instance gets no new lease, for Cause; Decision has the numbers for CauseIdle
	FactDelete     FactKind = "delete"      // the provider is asked to delete Instance; Count: the number of this try, starting at 1
	FactGone       FactKind = "gone"        // Instance is deleted; Took is its lifetime
	FactLost       FactKind = "lost"        // Instance vanished although the manager did not delete it, for Cause
	FactReturned   FactKind = "returned"    // Instance, which was lost or missing, is listed again
	FactRevoke     FactKind = "revoke"      // the lease of Key on Instance was revoked, for Cause
	FactDeny       FactKind = "deny"        // a request of Key was refused, for Cause
	FactWait       FactKind = "wait"        // the reason for waiting changed: Count callers wait; Cause: why, for those without a booting instance
	FactPolicy     FactKind = "policy"      // another policy became active; Count: its index, starting at 0; -1: none matches
	FactRefused    FactKind = "refused"     // a create failed with Failure; Count: consecutive failures; Took: the back-off until the next create
	FactFruitless  FactKind = "fruitless"   // the boot of Instance failed, for Cause; Count: consecutive failures; Took: the back-off
	FactListFailed FactKind = "list_failed" // a list call failed with Failure; Count: consecutive failures: 1, 10, 100 and so on
	FactUnclaimed  FactKind = "unclaimed"   // Instance is counted, but neither used nor deleted, because its owner is unknown; without Instance: Count more of them
	FactAlarm      FactKind = "alarm"       // Instance could not be deleted within DeletingAlarm; Took: how long its delete has been running
	FactForeign    FactKind = "foreign"     // creates, and deletes of what the manager did not create, are paused (On) because Count unexplained instances appeared, or resumed (not On)
	FactAdopt      FactKind = "adopt"       // Instance was taken into service, for Cause if it is set
	FactReload     FactKind = "reload"      // a new configuration took effect
	FactIntent     FactKind = "intent"      // Count instances of a create did not appear, for Cause
	FactPrepare    FactKind = "prepare"     // preparing Instance failed with Failure; Count: tries so far
	FactHold       FactKind = "hold"        // Count instances that are needed are not created, for Cause; Decision has the numbers
	FactBreaker    FactKind = "breaker"     // the runaway breaker opened (On; Count: consecutive failed boots; Took: the back-off) or closed (not On)
	FactListed     FactKind = "listed"      // a list succeeded after failures; Count: how many there were in a row

	// FactUnreachable: Instance gets no new lease (On), because the provider cannot say how to reach it (Failure), or gets leases again (not On).
	FactUnreachable FactKind = "unreachable"
)

// Fact is one decision or event of a manager, with its cause. The kind says which fields matter. A Fact is a copy and may be kept.
type Fact struct {
	Kind     FactKind        // what happened
	At       time.Time       // wall clock
	Instance string          // ID of the instance
	Key      string          // key of the caller
	Cause    record.Cause    // why it happened
	Count    int             // see the kind
	On       bool            // see the kind
	Took     time.Duration   // see the kind
	Failure  failure.Failure // what failed
	Decision policy.Decision // every number of the sizing decision behind the fact

	fact scaler.Fact // for String
}

// String returns the fact as one English sentence, without a full stop.
func (f Fact) String() string { return observe.Sentence(&f.fact) }

// Observer receives every fact of a manager; see [WithObserver].
type Observer func(Fact)

// tap passes the core's facts to o.
func (o Observer) tap() observe.Observer {
	return observe.Observer{Fact: func(f *scaler.Fact) { o(factOf(f)) }}
}

func factOf(f *scaler.Fact) Fact {
	return Fact{
		Kind: FactKind(f.Kind.String()), At: f.At.Wall, Instance: string(f.ID), Key: string(f.Key), Cause: f.Cause, Count: f.Count, On: f.On,
		Took: f.Took, Failure: f.Failure, Decision: f.Decision, fact: *f,
	}
}
