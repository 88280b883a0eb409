package record

// Cause is the reason why something happened to an instance or a lease, or why something does not happen. Decisions and status output use
// the same value.
type Cause uint8

// The causes. Their numbers are stored, so new causes are only appended.
const (
	CauseNone             Cause = iota
	CauseIdle                   // idle for idle_time, and not needed by the policy
	CauseUsedUp                 // max_use_count reached
	CauseBootOverdue            // still creating after its deadline
	CausePrepareOverdue         // still preparing after its deadline
	CausePrepareFailed          // connecting or the ready command failed
	CauseUnhealthy              // heartbeats failed, or the provider or a caller reported it
	CauseMissing                // the provider no longer lists it
	CauseProviderDeleting       // the provider is deleting it, although we did not ask
	CauseProviderTimeout        // the provider gave up on it
	CauseAbandoned              // the caller of its lease did not reattach
	CausePreexisting            // found at start without a record
	CauseReplaced               // the caller asked for another instance
	CauseShutdown               // the manager shuts down and deletes its instances
	CauseZombie                 // it was listed again after it was deleted
	CauseOperator               // an operator asked for it
	CauseBoot                   // waits for an instance to boot
	CauseThrottle               // waits for scale_throttle
	CauseMaxInstances           // waits because max_instances is reached
	CauseQuota                  // waits for an account limit
	CauseStockOut               // waits because the provider has no capacity (stock-out)
	CauseBackoff                // waits because creates or boots failed
	CausePlugin                 // waits for the plugin or for the provider's first list
	CausePolicy                 // waits, but the policy creates nothing
	CauseConfig                 // waits until the configuration is corrected
	CauseForeign                // paused: another manager seems to work on the same group
	CauseReleased               // the caller released the lease
	CauseDeadline               // the caller's own deadline passed
	CauseCancelled              // the caller cancelled its request
	CauseDraining               // the manager accepts no new work
	CauseChangedHostKey         // the instance presented another host key
	CauseNoCapacity             // no slot is free now
	CauseConfirming             // waits until lists confirm whether missing instances are gone
	CauseThrottledAPI           // the provider asked for fewer calls
	CauseDuplicate              // the key already has a lease, a wait or a reservation
	CauseUnknownKey             // the key has no lease
	CauseBreaker                // waits for the one instance that the open runaway breaker allows as a test
	CauseLists                  // waits for the provider's lists, which fail
	CauseProviderLimit          // waits because the provider's own limit on instances is reached
	CauseAboveLimit             // more instances exist than max_instances or the provider's limit allows
	CauseStore                  // waits until the state can be stored
	CauseDoubtful               // a caller got no answer from it in time, or could not end its command there
	numCauses
)

var causeNames = [numCauses]string{
	"none", "idle", "used_up", "boot_overdue", "prepare_overdue", "prepare_failed", "unhealthy", "missing", "provider_deleting",
	"provider_timeout", "abandoned", "preexisting", "replaced", "shutdown", "zombie", "operator", "boot", "throttle", "max_instances",
	"quota", "stock_out", "back_off", "plugin", "policy", "config", "foreign_manager", "released", "deadline", "cancelled", "draining",
	"changed_host_key", "no_capacity", "confirming", "throttled_api", "duplicate_key", "unknown_key", "breaker", "lists",
	"provider_limit", "above_limit", "store", "doubtful",
}

// String returns the cause's name as facts and status show it.
func (c Cause) String() string {
	if c < numCauses {
		return causeNames[c]
	}
	return "unknown"
}
