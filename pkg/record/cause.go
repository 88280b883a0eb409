package record

// Cause is why something happened to an instance or a lease, or why something does not happen. It is data: decisions and people
// read the same value.
type Cause uint8

// The causes. Their numbers are stored: append only.
const (
	CauseNone             Cause = iota
	CauseIdle                   // idle for idle_time, and more than the policy needs
	CauseUsedUp                 // max_use_count reached
	CauseBootOverdue            // still creating after its deadline
	CausePrepareOverdue         // still preparing after its deadline
	CausePrepareFailed          // connecting or the ready command failed
	CauseUnhealthy              // heartbeats failed, or the provider or a caller said so
	CauseMissing                // the provider no longer lists it
	CauseProviderDeleting       // the provider is deleting it without our asking
	CauseProviderTimeout        // the provider gave up on it
	CauseAbandoned              // its lease's caller did not come back
	CausePreexisting            // found at start without a record
	CauseReplaced               // the caller asked for another instance
	CauseShutdown               // the manager shuts down and deletes its instances
	CauseZombie                 // it came back after it was deleted
	CauseOperator               // asked for by a person
	CauseBoot                   // waits for a machine to boot
	CauseThrottle               // waits for scale_throttle
	CauseMaxInstances           // waits because max_instances (or the provider's limit) is reached
	CauseQuota                  // waits for an account limit
	CauseStockOut               // waits because the provider has no machines
	CauseBackoff                // waits because creates failed or boots came to nothing
	CausePlugin                 // waits for the plugin or the provider's first list
	CausePolicy                 // waits because the policy creates nothing
	CauseConfig                 // waits for a corrected configuration
	CauseForeign                // paused: another manager seems to work on the same group
	CauseReleased               // the caller gave the lease back
	CauseDeadline               // the caller's own deadline passed
	CauseCancelled              // the caller gave up
	CauseDraining               // the manager takes no new work
	CauseChangedHostKey         // the machine answered with another host key
	CauseNoCapacity             // no slot is free at this moment
	CauseConfirming             // waits until the provider confirms what became of missing instances
	CauseThrottledAPI           // the provider asked to call less often
	CauseDuplicate              // the key already has a lease, a wait or a reservation
	CauseUnknownKey             // the key has no lease
	CauseBreaker                // waits for the one machine that the runaway breaker lets try
	numCauses
)

var causeNames = [numCauses]string{
	"none", "idle", "used_up", "boot_overdue", "prepare_overdue", "prepare_failed", "unhealthy", "missing", "provider_deleting",
	"provider_timeout", "abandoned", "preexisting", "replaced", "shutdown", "zombie", "operator", "boot", "throttle", "max_instances",
	"quota", "stock_out", "back_off", "plugin", "policy", "config", "foreign_manager", "released", "deadline", "cancelled", "draining",
	"changed_host_key", "no_capacity", "confirming", "throttled_api", "duplicate_key", "unknown_key", "breaker",
}

// String is the cause's name as it stands in facts and in status.
func (c Cause) String() string {
	if c < numCauses {
		return causeNames[c]
	}
	return "unknown"
}
