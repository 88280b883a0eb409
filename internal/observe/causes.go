package observe

import (
	"github.com/taskscaler/taskscaler/pkg/record"
)

// phrases says a cause in words, for each place that it can stand in.
type phrases struct {
	wait   string // "the job is waiting …"
	retire string // "the instance goes because …", and the same of a lease
}

var causePhrases = [...]phrases{
	record.CauseNone:             {"for a slot", "no cause was recorded"},
	record.CauseIdle:             {"for a slot", "it was idle for idle_time and is more than the policy needs"},
	record.CauseUsedUp:           {"for a slot", "it has served max_use_count leases"},
	record.CauseBootOverdue:      {"because a machine did not boot in time", "it was still creating after instance_deadlines.creating"},
	record.CausePrepareOverdue:   {"because a machine was not ready in time", "it was still being prepared after instance_deadlines.preparing"},
	record.CausePrepareFailed:    {"because a machine could not be prepared", "connecting or the ready command failed"},
	record.CauseUnhealthy:        {"for a healthy machine", "it is unhealthy: its heartbeats failed, or the provider or its user said so"},
	record.CauseMissing:          {"because machines went missing", "the provider no longer lists it"},
	record.CauseProviderDeleting: {"because the provider deletes machines", "the provider is deleting it without our asking (a spot reclaim, perhaps)"},
	record.CauseProviderTimeout:  {"because the provider gave up on a machine", "the provider gave up on it"},
	record.CauseAbandoned:        {"for a slot", "the job that held it did not come back"},
	record.CausePreexisting:      {"for a slot", "it was found at start without a record of ours"},
	record.CauseReplaced:         {"for a slot on another instance", "its user asked for another instance"},
	record.CauseShutdown:         {"because the manager is shutting down", "the manager is shutting down"},
	record.CauseZombie:           {"for a slot", "it came back after it had been deleted"},
	record.CauseOperator:         {"because an operator asked for it", "an operator asked for it"},
	record.CauseBoot:             {"for a machine to boot", "it boots"},
	record.CauseThrottle:         {"because scale_throttle allows no more creates at this moment", "scale_throttle allows no more"},
	record.CauseMaxInstances:     {"for a slot to be given back: max_instances (or the provider's limit) is reached", "max_instances is reached"},
	record.CauseQuota:            {"because an account limit of the provider is reached", "an account limit of the provider is reached"},
	record.CauseStockOut:         {"because the provider has no machines to give", "the provider has no machines to give"},
	record.CauseBackoff:          {"for the back-off to end after creates that failed or boots that came to nothing", "creates are backed off"},
	record.CausePlugin:           {"for the provider plugin to answer", "the provider plugin is away"},
	record.CausePolicy:           {"because the policy that holds now creates nothing", "the policy wants none"},
	record.CauseConfig:           {"for a corrected configuration: the provider refused the present one", "the provider refused the configuration"},
	record.CauseForeign:          {"because another manager seems to work on the same group: creates and deletes are paused", "another manager seems to be at work"},
	record.CauseReleased:         {"for a slot", "it was given back"},
	record.CauseDeadline:         {"beyond its deadline", "its deadline passed"},
	record.CauseCancelled:        {"for a slot", "its caller gave up"},
	record.CauseDraining:         {"because the manager is draining", "the manager is draining"},
	record.CauseChangedHostKey:   {"for a machine that can be trusted", "it answered with another host key than the one that was pinned"},
	record.CauseNoCapacity:       {"because no slot is free", "no slot is free"},
	record.CauseConfirming:       {"until the provider confirms what became of missing instances", "it is not confirmed yet"},
	record.CauseThrottledAPI:     {"because the provider asked to be called less often", "the provider asked to be called less often"},
	record.CauseDuplicate:        {"for a key of its own", "the key already has a lease, a wait or a reservation"},
	record.CauseUnknownKey:       {"under a key that has no lease", "no lease is held under this key"},
	record.CauseBreaker:          {"because the runaway breaker is open: one machine at a time is tried until one works", "the runaway breaker is open"},
}

func phrasesOf(c record.Cause) phrases {
	if int(c) < len(causePhrases) {
		return causePhrases[c]
	}
	return phrases{"for a reason that this version does not know", "a reason that this version does not know"}
}

// Wait goes on after "is waiting": "for a machine to boot".
func Wait(c record.Cause) string { return phrasesOf(c).wait }

// Retire goes on after "because", of an instance: "it has served max_use_count leases".
func Retire(c record.Cause) string { return phrasesOf(c).retire }

// Revoke says why a lease was taken away; "it" is the instance.
func Revoke(c record.Cause) string {
	switch c {
	case record.CauseAbandoned:
		return "its caller did not come back in time"
	case record.CauseMissing:
		return "the instance is gone: the provider no longer lists it"
	}
	return "the instance cannot be used any more: " + phrasesOf(c).retire
}

// Denial says why a caller was refused.
func Denial(c record.Cause) string {
	switch c {
	case record.CauseDeadline:
		return "the deadline passed"
	case record.CauseCancelled:
		return "the caller gave up"
	}
	return phrasesOf(c).retire
}
