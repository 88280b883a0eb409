package taskscaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// FactKind says what a [Fact] records. Logs and the command's output use the same words.
type FactKind string

// The kinds of fact. The fields that a kind sets are named behind it; Kind and At are always set.
const (
	FactCreate     FactKind = "create"      // the provider is asked for Count instances; Decision has the numbers
	FactAppeared   FactKind = "appeared"    // Instance was listed for the first time; Cause says why it is not used, if it is not
	FactReady      FactKind = "ready"       // Instance can be leased; Took is the time since it was first listed
	FactRetire     FactKind = "retire"      // Instance gets no new lease, for Cause; Decision has the numbers if Cause is idleness
	FactDelete     FactKind = "delete"      // the provider is asked to delete Instance, for the Count-th time (from 1)
	FactGone       FactKind = "gone"        // Instance is deleted; Took is its lifetime
	FactLost       FactKind = "lost"        // Instance vanished although the manager did not delete it; Cause
	FactReturned   FactKind = "returned"    // Instance, which was lost or missing, is listed again
	FactRevoke     FactKind = "revoke"      // the lease of Key on Instance was revoked, for Cause
	FactDeny       FactKind = "deny"        // a request of Key was refused, for Cause
	FactWait       FactKind = "wait"        // why callers wait changed: Count wait, the rest of them for Cause
	FactPolicy     FactKind = "policy"      // another policy became active: Count is its index from 0, -1: none matches
	FactRefused    FactKind = "refused"     // a create failed with Failure; Took is the back-off until the next create
	FactFruitless  FactKind = "fruitless"   // the boot of Instance failed, for Cause; Count: consecutive failures; Took: the back-off
	FactListFailed FactKind = "list_failed" // a list call failed with Failure; Count: consecutive failures
	FactUnclaimed  FactKind = "unclaimed"   // Instance is counted and left alone, because its owner is unknown
	FactAlarm      FactKind = "alarm"       // Instance could not be deleted for DeletingAlarm; Took says for how long
	FactForeign    FactKind = "foreign"     // creates and deletes are paused (On) or resumed, because unexplained instances appeared
	FactAdopt      FactKind = "adopt"       // Instance was taken into service
	FactReload     FactKind = "reload"      // a new configuration took effect
	FactIntent     FactKind = "intent"      // Count instances of a create did not appear
	FactPrepare    FactKind = "prepare"     // preparing Instance failed with Failure
	FactHold       FactKind = "hold"        // Count instances that are needed are not created, for Cause; Decision has the numbers
	FactBreaker    FactKind = "breaker"     // the runaway breaker opened (On; Count: consecutive failed boots) or closed
)

// Fact is one decision or event of a manager, with its cause. It is a copy: it shares nothing with the manager.
type Fact struct {
	Kind     FactKind
	At       time.Time // wall clock
	Instance string
	Key      string
	Cause    record.Cause
	Count    int
	On       bool
	Took     time.Duration
	Failure  failure.Failure
	Decision policy.Decision

	fact scaler.Fact // for the sentence
}

// String is the fact as one English sentence, without a full stop.
func (f Fact) String() string { return observe.Sentence(&f.fact) }

// Observer receives facts; see [WithObserver].
type Observer func(Fact)

// tap hands the core's facts to o.
func (o Observer) tap() observe.Observer {
	return observe.Observer{Fact: func(f *scaler.Fact) { o(factOf(f)) }}
}

func factOf(f *scaler.Fact) Fact {
	return Fact{
		Kind: FactKind(f.Kind.String()), At: f.At.Wall, Instance: string(f.ID), Key: string(f.Key), Cause: f.Cause, Count: f.Count, On: f.On,
		Took: f.Took, Failure: f.Failure, Decision: f.Decision, fact: *f,
	}
}
