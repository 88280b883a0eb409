package observe

import (
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// phrases are the words for a cause, one for each place where it can appear.
type phrases struct {
	wait   string // continues "the job is waiting …"
	retire string // continues "the instance is removed because …"; also used for a lease and for a create
}

var causePhrases = [...]phrases{
	record.CauseNone:             {"for a slot", "no cause was recorded"},
	record.CauseIdle:             {"for a slot", "it was idle for idle_time, and the policy needs fewer instances"},
	record.CauseUsedUp:           {"for a slot", "it has served max_use_count leases"},
	record.CauseBootOverdue:      {"because an instance did not boot in time", "it did not run within instance_deadlines.creating"},
	record.CausePrepareOverdue:   {"because an instance was not ready in time", "it was not ready within instance_deadlines.preparing"},
	record.CausePrepareFailed:    {"because an instance could not be prepared", "it could not be prepared"},
	record.CauseUnhealthy:        {"for a healthy instance", "it is unhealthy"},
	record.CauseMissing:          {"because instances are missing", "the provider no longer lists it"},
	record.CauseProviderDeleting: {"because the provider is deleting instances", "the provider is deleting it without our request (perhaps a spot reclaim)"},
	record.CauseProviderTimeout:  {"because the provider gave up on an instance", "the provider gave up on it"},
	record.CauseAbandoned:        {"for a slot", "the caller of its lease did not come back in time"},
	record.CausePreexisting:      {"for a slot", "it was found at the start, and the state has no record of it"},
	record.CauseReplaced:         {"for a slot on another instance", "its caller asked for another instance"},
	record.CauseShutdown:         {"because the manager is shutting down", "the manager is shutting down"},
	record.CauseZombie:           {"for a slot", "the provider listed it again after it was deleted"},
	record.CauseOperator:         {"because an operator requested it", "an operator requested it"},
	record.CauseBoot:             {"for an instance to boot", "it is booting"},
	record.CauseThrottle:         {"because scale_throttle allows no more creates at the moment", "scale_throttle allows no more creates at the moment"},
	record.CauseMaxInstances:     {"for another job to release its slot, because max_instances is reached", "max_instances is reached"},
	record.CauseQuota:            {"because an account limit of the provider is reached", "an account limit of the provider is reached"},
	record.CauseStockOut:         {"because the provider has no capacity left", "the provider has no capacity left"},
	record.CauseBackoff:          {"for the back-off after failed creates or failed boots to end", "creates are in back-off after failures"},
	record.CausePlugin:           {"for the provider plugin to answer", "the provider plugin has not answered yet, or is away"},
	record.CausePolicy:           {"because the current policy creates no instance", "the current policy creates no instance"},
	record.CauseConfig:           {"for a corrected configuration, because the provider refused the current one", "the provider refused the configuration"},
	record.CauseForeign:          {"because another manager seems to use the same group, so creates are paused", "another manager seems to use the same group"},
	record.CauseReleased:         {"for a slot", "it was released"},
	record.CauseDeadline:         {"after its deadline", "its deadline passed"},
	record.CauseCancelled:        {"for a slot", "its caller stopped waiting"},
	record.CauseDraining:         {"because the manager is draining", "the manager is draining"},
	record.CauseChangedHostKey:   {"for an instance with the right host key", "its host key differs from the recorded one"},
	record.CauseNoCapacity:       {"because no slot is free", "no slot is free"},
	record.CauseConfirming:       {"until the provider confirms that missing or deleted instances are gone", "the provider has not confirmed yet that missing or deleted instances are gone"},
	record.CauseThrottledAPI:     {"because the provider asked for fewer calls", "the provider asked for fewer calls"},
	record.CauseDuplicate:        {"for a key that is not in use", "the key already has a lease, a wait or a reservation"},
	record.CauseUnknownKey:       {"for a key that has a lease", "there is no lease under this key"},
	record.CauseLists:            {"because listing the instances fails, so an instance that boots cannot be seen", "listing the instances fails"},
	record.CauseBreaker:          {"because the runaway breaker is open, so one instance at a time is created until one works", "the runaway breaker is open"},
	record.CauseProviderLimit:    {"for another job to release its slot, because the provider's limit on instances is reached", "the provider's limit on instances is reached"},
	record.CauseAboveLimit:       {"for a slot", "more instances exist than max_instances or the provider's limit allows"},
	record.CauseStore:            {"until the state can be stored, because commits to the state store fail", "commits to the state store fail"},
	record.CauseDoubtful:         {"for another instance", "a caller got no answer from it in time, or could not end its command there; its other leases go on"},
}

func phrasesOf(c record.Cause) phrases {
	if int(c) < len(causePhrases) {
		return causePhrases[c]
	}
	return phrases{"for a reason that this version does not know", "a reason that this version does not know"}
}

// Wait returns the words that continue "is waiting", such as "for an instance to boot".
func Wait(c record.Cause) string { return phrasesOf(c).wait }

// Retire returns the words that continue "because", for an instance, such as "it has served max_use_count leases".
func Retire(c record.Cause) string { return phrasesOf(c).retire }

// Why returns the words that continue "because", for the cause of f. It names who found an instance unhealthy.
func Why(f *scaler.Fact) string {
	if f.Cause != record.CauseUnhealthy {
		return Retire(f.Cause)
	}
	switch {
	case f.By == scaler.EvBeat && f.Failure.Kind == failure.Unhealthy:
		return "it is unhealthy: the provider said so in its heartbeat"
	case f.By == scaler.EvBeat:
		return "it is unhealthy: at least failure_threshold heartbeats failed in a row"
	case f.By == scaler.EvRelease:
		return "it is unhealthy: a caller reported it"
	case f.By == scaler.EvUnhealthy:
		return "it is unhealthy: the provider could not say how to reach it"
	case f.By == scaler.EvChanged:
		return "it is unhealthy: the provider listed it as not running for instance_deadlines.creating"
	}
	return Retire(f.Cause)
}

// Revoked says why the lease of f, a FactRevoke, was revoked, and the failure behind it.
func Revoked(f *scaler.Fact) string {
	if f.Cause == record.CauseUnhealthy {
		return unusable + Why(f) + Reported(f)
	}
	return Revoke(f.Cause) + Reported(f)
}

const unusable = "the instance cannot be used any more: "

// Revoke says why a lease was revoked.
func Revoke(c record.Cause) string {
	switch c {
	case record.CauseAbandoned:
		return "its caller did not come back in time"
	case record.CauseShutdown:
		return phrasesOf(c).retire
	case record.CauseMissing:
		return "the instance is gone: the provider no longer lists it"
	}
	return unusable + phrasesOf(c).retire
}

// Denial says why a caller was refused.
func Denial(c record.Cause) string {
	switch c {
	case record.CauseDeadline:
		return "its deadline passed"
	case record.CauseCancelled:
		return "its caller stopped waiting"
	}
	return phrasesOf(c).retire
}
