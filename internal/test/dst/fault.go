package dst

// Fault is one kind of thing that goes wrong, or that a caller does beside the common path. Each is drawn, counted and dropped on its own.
type Fault uint8

// The faults. Each stands with what it does in the table below.
const (
	FaultCreateTransient Fault = iota
	FaultCreateNotFound
	FaultCreateCapacity
	FaultCreateQuota
	FaultCreateThrottled
	FaultCreateConfig
	FaultCreateUnhealthy
	FaultCreatePartial
	FaultCreateLies
	FaultCreateSlow
	FaultStockOut
	FaultQuotaShrinks
	FaultNeverBoots
	FaultSlowBoot
	FaultNameReused
	FaultVanishes
	FaultComesBack
	FaultRises
	FaultLies
	FaultGoesBackwards
	FaultHidden
	FaultReclaimed
	FaultProviderTimeout
	FaultPreexisting
	FaultListLags
	FaultListFails
	FaultListRepeats
	FaultListTruncates
	FaultListEmpty
	FaultPrepareFails
	FaultPrepareRefused
	FaultPrepareBroken
	FaultPrepareHangs
	FaultBeatFails
	FaultBeatUnhealthy
	FaultHostKey
	FaultDiesYoung
	FaultDeleteFails
	FaultDeleteLies
	FaultDeleteStuck
	FaultPluginDies
	FaultWallForward
	FaultWallBack
	FaultReloadCapacity
	FaultReloadUses
	FaultReloadLimit
	FaultReloadPolicies
	FaultReloadThrottle
	FaultReloadAdopt
	FaultCommitFails
	FaultCommitStuck
	FaultShutdownKeeps
	FaultShutdownDeletes
	FaultDrain
	FaultForeignAdds
	FaultForeignDeletes
	FaultCrashBeforeCommit
	FaultCrashAfterCommit
	FaultCrashMidGrants
	FaultCrashMidCommands
	FaultCrashAfterDispatch
	FaultStateLost
	// What callers do.
	FaultCancels
	FaultDoubleRelease
	FaultLateRelease
	FaultUnreserveRace
	FaultDuplicateAcquire
	FaultAbandons
	FaultReplaces
	FaultDetaches
	FaultReleaseUnhealthy
	FaultReleaseHostKey
	FaultGivesUpAtRestart
	numFaults
)

// NumFaults is the number of faults.
const NumFaults = int(numFaults)

// faultInfo says what a fault is called, how likely it is at one opportunity in a world of middling intensity, and what it does.
type faultInfo struct {
	name string
	rate float64
	does string
}

var faults = [numFaults]faultInfo{
	FaultCreateTransient: {"create: transient", 0.05, "a create fails and nobody knows what it did"},
	FaultCreateNotFound:  {"create: not found", 0.03, "a create fails with kind not_found"},
	FaultCreateCapacity:  {"create: capacity", 0.04, "a create fails with kind capacity"},
	FaultCreateQuota:     {"create: quota", 0.04, "a create fails with kind quota"},
	FaultCreateThrottled: {"create: throttled", 0.04, "a create fails with kind throttled, with or without a time to come back"},
	FaultCreateConfig:    {"create: config", 0.03, "a create fails with kind config"},
	FaultCreateUnhealthy: {"create: unhealthy", 0.03, "a create fails with kind unhealthy"},
	FaultCreatePartial:   {"create: partial", 0.06, "a create accepts less than was asked for, with or without saying why"},
	FaultCreateLies:      {"create: lies", 0.06, "a create succeeds, and answers an error"},
	FaultCreateSlow:      {"create: slow", 0.06, "the answer to a create comes after its instances, or minutes later"},
	FaultStockOut:        {"stock-out", 0.04, "for a while no create succeeds, for want of machines"},
	FaultQuotaShrinks:    {"quota shrinks", 0.02, "the account's limit falls to what there is, or below"},
	FaultNeverBoots:      {"never boots", 0.05, "a machine stays in creation for ever"},
	FaultSlowBoot:        {"slow boot", 0.06, "a machine takes minutes to boot"},
	FaultNameReused:      {"name reused", 0.15, "a new machine bears the name of one that is gone"},
	FaultVanishes:        {"vanishes", 0.02, "a machine is gone without our asking"},
	FaultComesBack:       {"comes back", 0.5, "a machine that vanished is there again"},
	FaultRises:           {"rises", 0.08, "a machine is there again after its delete took effect"},
	FaultLies:            {"lies", 0.025, "for a while a list says something else of a machine than the truth"},
	FaultGoesBackwards:   {"goes backwards", 0.03, "a running machine is listed as creating or suspended for a while"},
	FaultHidden:          {"hidden", 0.03, "for a while lists lack a machine that exists"},
	FaultReclaimed:       {"reclaimed", 0.02, "the provider deletes a machine without our asking"},
	FaultProviderTimeout: {"provider timeout", 0.04, "the provider gives up on a machine that boots"},
	FaultPreexisting:     {"preexisting", 0.4, "there are machines before the first start"},
	FaultListLags:        {"list lags", 0.08, "a list shows the past"},
	FaultListFails:       {"list fails", 0.07, "a list cannot be had"},
	FaultListRepeats:     {"list repeats", 0.06, "a list is the one before once more"},
	FaultListTruncates:   {"list truncates", 0.04, "a list lacks some of its end"},
	FaultListEmpty:       {"list empty", 0.03, "a list is empty"},
	FaultPrepareFails:    {"prepare fails", 0.12, "connecting or the ready command fails in a way that may pass"},
	FaultPrepareRefused:  {"prepare refused", 0.05, "connecting or the ready command fails for good"},
	FaultPrepareBroken:   {"prepare broken", 0.05, "no preparation of a machine ever works"},
	FaultPrepareHangs:    {"prepare hangs", 0.04, "a preparation runs into its timeout"},
	FaultBeatFails:       {"heartbeat fails", 0.12, "a heartbeat fails, often several in a row"},
	FaultBeatUnhealthy:   {"heartbeat unhealthy", 0.01, "the provider says that a machine is unhealthy"},
	FaultHostKey:         {"host key changed", 0.004, "the shell learns that a machine cannot be trusted"},
	FaultDiesYoung:       {"dies young", 0.05, "for a while machines are ready, and ill or gone within two minutes"},
	FaultDeleteFails:     {"delete fails", 0.15, "a delete fails"},
	FaultDeleteLies:      {"delete lies", 0.05, "a delete answers not_found, or an error, whatever it did"},
	FaultDeleteStuck:     {"delete stuck", 0.06, "a delete that was accepted takes effect only when the faults end"},
	FaultPluginDies:      {"plugin dies", 0.004, "every call answers that the plugin is away, for a while"},
	FaultWallForward:     {"wall clock forward", 0.005, "the wall clock jumps forward"},
	FaultWallBack:        {"wall clock back", 0.005, "the wall clock jumps back"},
	FaultReloadCapacity:  {"reload: capacity", 0.004, "capacity_per_instance changes"},
	FaultReloadUses:      {"reload: uses", 0.004, "max_use_count changes"},
	FaultReloadLimit:     {"reload: limits", 0.004, "max_instances, or the provider's limit, changes"},
	FaultReloadPolicies:  {"reload: policies", 0.004, "the policies change"},
	FaultReloadThrottle:  {"reload: throttle", 0.004, "scale_throttle changes"},
	FaultReloadAdopt:     {"reload: adopt", 0.004, "adopt_preexisting changes"},
	FaultCommitFails:     {"commit fails", 0.012, "a commit fails some times: nothing is dispatched and nothing stepped meanwhile"},
	FaultCommitStuck:     {"commit stuck", 0.0015, "a commit fails until the manager stops"},
	FaultShutdownKeeps:   {"shutdown, keeps", 0.0015, "the manager shuts down and its instances stay"},
	FaultShutdownDeletes: {"shutdown, deletes", 0.0015, "the manager shuts down and deletes its instances"},
	FaultDrain:           {"drain", 0.003, "the manager takes no new work for a while"},
	FaultForeignAdds:     {"foreign adds", 0.004, "another manager creates machines in our group"},
	FaultForeignDeletes:  {"foreign deletes", 0.004, "another manager deletes a machine of ours"},

	FaultCrashBeforeCommit:  {"crash before commit", 0.004, "the manager dies before a commit"},
	FaultCrashAfterCommit:   {"crash after commit", 0.004, "the manager dies behind a commit, with nothing dispatched"},
	FaultCrashMidGrants:     {"crash amid answers", 0.004, "the manager dies when some of the answers are out"},
	FaultCrashMidCommands:   {"crash amid commands", 0.004, "the manager dies when the answers and some of the commands are out"},
	FaultCrashAfterDispatch: {"crash after dispatch", 0.004, "the manager dies when all of a batch is out"},
	FaultStateLost:          {"state lost", 0.1, "the next life finds an empty store"},

	FaultCancels:          {"caller cancels", 0.12, "a caller gives up its wait"},
	FaultDoubleRelease:    {"double release", 0.08, "a caller releases twice"},
	FaultLateRelease:      {"late release", 0.08, "a caller releases what it has no more"},
	FaultUnreserveRace:    {"unreserve race", 0.08, "a caller takes its reservation back and acquires at the same time"},
	FaultDuplicateAcquire: {"duplicate acquire", 0.08, "a caller acquires again under a key that waits or is served"},
	FaultAbandons:         {"caller abandons", 0.04, "a caller goes away and never comes back"},
	FaultReplaces:         {"caller replaces", 0.08, "a caller gives its lease back for one elsewhere"},
	FaultDetaches:         {"caller detaches", 0.08, "a caller's connection is lost, and it comes back in time, or too late"},
	FaultReleaseUnhealthy: {"release: unhealthy", 0.04, "a caller says that its instance is unhealthy"},
	FaultReleaseHostKey:   {"release: host key", 0.02, "a caller met another host key"},
	FaultGivesUpAtRestart: {"gives up at restart", 0.15, "a caller does not come back after a restart"},
}

// String is the fault's name in tables and traces.
func (f Fault) String() string {
	if f < numFaults {
		return faults[f].name
	}
	return "invalid"
}

// occurrence is the n-th opportunity of a fault, which it took.
type occurrence struct {
	fault Fault
	n     uint64
}

// hit reports whether f happens at this, its next, opportunity. What else the fault needs to draw follows from w.dice.
func (w *world) hit(f Fault) bool {
	n := w.chances[f]
	w.chances[f]++
	return w.hitAt(f, n)
}

// hitAt is hit for opportunities that have a number by themselves.
func (w *world) hitAt(f Fault, n uint64) bool {
	p := w.likely[f]
	if p == 0 || !w.faulty || !w.dice.at(stream(f), n).chance(p) {
		return false
	}
	o := occurrence{f, n}
	if w.opts.dropFaults != nil && w.opts.dropFaults[o] {
		return false
	}
	w.cover.faults[f]++
	if w.opts.keep {
		w.occurred = append(w.occurred, o)
	}
	if w.opts.trace {
		w.say("fault", "%s (%s)", faults[f].name, faults[f].does)
	}
	return true
}

// swarm switches a random set of faults on, each at a random intensity, so that rare ones meet each other undisturbed.
func (w *world) swarm() {
	d := w.dice.at(streamSwarm, 0)
	share := pick(d, 0.0, 0.15, 0.3, 0.3, 0.5, 0.5, 0.8, 1.0)
	for f := range w.likely {
		on, times := d.chance(share), pick(d, 0.5, 1, 1, 2, 4)
		if w.opts.small {
			times *= 2
		}
		if on {
			w.likely[f] = min(faults[f].rate*times, 0.9)
		}
	}
}
