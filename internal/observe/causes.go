package observe

import "github.com/taskscaler/taskscaler/internal/fleet"

// phrases says a cause in words, for each place that it can stand in.
type phrases struct {
	wait   string // "the job is waiting …"
	retire string // "the instance goes because …", and the same of a lease
}

var causePhrases = [...]phrases{
	fleet.CauseNone:             {"for a slot", "no cause was recorded"},
	fleet.CauseIdle:             {"for a slot", "it was idle for idle_time and is more than the policy needs"},
	fleet.CauseUsedUp:           {"for a slot", "it has served max_use_count leases"},
	fleet.CauseBootOverdue:      {"because a machine did not boot in time", "it was still creating after instance_deadlines.creating"},
	fleet.CausePrepareOverdue:   {"because a machine was not ready in time", "it was still being prepared after instance_deadlines.preparing"},
	fleet.CausePrepareFailed:    {"because a machine could not be prepared", "connecting or the ready command failed"},
	fleet.CauseUnhealthy:        {"for a healthy machine", "it is unhealthy: its heartbeats failed, or the provider or its user said so"},
	fleet.CauseMissing:          {"because machines went missing", "the provider no longer lists it"},
	fleet.CauseProviderDeleting: {"because the provider deletes machines", "the provider is deleting it without our asking (a spot reclaim, perhaps)"},
	fleet.CauseProviderTimeout:  {"because the provider gave up on a machine", "the provider gave up on it"},
	fleet.CauseAbandoned:        {"for a slot", "the job that held it did not come back"},
	fleet.CausePreexisting:      {"for a slot", "it was found at start without a record of ours"},
	fleet.CauseReplaced:         {"for a slot on another instance", "its user asked for another instance"},
	fleet.CauseShutdown:         {"because the manager is shutting down", "the manager is shutting down"},
	fleet.CauseZombie:           {"for a slot", "it came back after it had been deleted"},
	fleet.CauseOperator:         {"because an operator asked for it", "an operator asked for it"},
	fleet.CauseBoot:             {"for a machine to boot", "it boots"},
	fleet.CauseThrottle:         {"because scale_throttle allows no more creates at this moment", "scale_throttle allows no more"},
	fleet.CauseMaxInstances:     {"for a slot to be given back: max_instances (or the provider's limit) is reached", "max_instances is reached"},
	fleet.CauseQuota:            {"because an account limit of the provider is reached", "an account limit of the provider is reached"},
	fleet.CauseStockOut:         {"because the provider has no machines to give", "the provider has no machines to give"},
	fleet.CauseBackoff:          {"for the back-off to end after creates that failed or boots that came to nothing", "creates are backed off"},
	fleet.CausePlugin:           {"for the provider plugin to answer", "the provider plugin is away"},
	fleet.CausePolicy:           {"because the policy that holds now creates nothing", "the policy wants none"},
	fleet.CauseConfig:           {"for a corrected configuration: the provider refused the present one", "the provider refused the configuration"},
	fleet.CauseForeign:          {"because another manager seems to work on the same group: creates and deletes are paused", "another manager seems to be at work"},
	fleet.CauseReleased:         {"for a slot", "it was given back"},
	fleet.CauseDeadline:         {"beyond its deadline", "its deadline passed"},
	fleet.CauseCancelled:        {"for a slot", "its caller gave up"},
	fleet.CauseDraining:         {"because the manager is draining", "the manager is draining"},
	fleet.CauseChangedHostKey:   {"for a machine that can be trusted", "it answered with another host key than the one that was pinned"},
	fleet.CauseNoCapacity:       {"because no slot is free", "no slot is free"},
	fleet.CauseConfirming:       {"until the provider confirms what became of missing instances", "it is not confirmed yet"},
	fleet.CauseThrottledAPI:     {"because the provider asked to be called less often", "the provider asked to be called less often"},
	fleet.CauseDuplicate:        {"for a key of its own", "the key already has a lease, a wait or a reservation"},
	fleet.CauseUnknownKey:       {"under a key that has no lease", "no lease is held under this key"},
	fleet.CauseBreaker:          {"because the runaway breaker is open: one machine at a time is tried until one works", "the runaway breaker is open"},
}

func phrasesOf(c fleet.Cause) phrases {
	if int(c) < len(causePhrases) {
		return causePhrases[c]
	}
	return phrases{"for a reason that this version does not know", "a reason that this version does not know"}
}

// Wait goes on after "is waiting": "for a machine to boot".
func Wait(c fleet.Cause) string { return phrasesOf(c).wait }

// Retire goes on after "because", of an instance: "it has served max_use_count leases".
func Retire(c fleet.Cause) string { return phrasesOf(c).retire }

// Revoke says why a lease was taken away; "it" is the instance.
func Revoke(c fleet.Cause) string {
	switch c {
	case fleet.CauseAbandoned:
		return "its caller did not come back in time"
	case fleet.CauseMissing:
		return "the instance is gone: the provider no longer lists it"
	}
	return "the instance cannot be used any more: " + phrasesOf(c).retire
}

// Denial says why a caller was refused.
func Denial(c fleet.Cause) string {
	switch c {
	case fleet.CauseDeadline:
		return "the deadline passed"
	case fleet.CauseCancelled:
		return "the caller gave up"
	}
	return phrasesOf(c).retire
}
