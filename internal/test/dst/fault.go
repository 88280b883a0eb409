package dst

// Fault is one kind of thing that goes wrong, or an unusual action of a caller. Each one is drawn, counted and left out separately.
type Fault uint8

// The faults. The table below describes them.
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
	FaultCreateLate
	FaultCallHangs
	FaultListHangs
	FaultOddRetryAfter
	FaultStockOut
	FaultQuotaShrinks
	FaultNeverBoots
	FaultSlowBoot
	FaultNameReused
	FaultNumbered
	FaultReplacedFirst
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
	FaultBadWord
	FaultConnectInfo
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
	FaultLongDown
	FaultWallWhileDown
	FaultStateLost
	// What callers do.
	FaultCancels
	FaultDoubleRelease
	FaultLateRelease
	FaultUnreserveRace
	FaultDuplicateAcquire
	FaultOvertaken
	FaultAbandons
	FaultReplaces
	FaultDetaches
	FaultReleaseUnhealthy
	FaultReleaseHostKey
	FaultGivesUpAtRestart
	FaultUnreachable
	FaultReleaseDoubtful
	numFaults
)

// NumFaults is the number of faults.
const NumFaults = int(numFaults)

// faultInfo is the name of a fault, how likely it is at one opportunity in a world of medium intensity, and what it does.
type faultInfo struct {
	name string
	rate float64
	does string
}

var faults = [numFaults]faultInfo{
	FaultCreateTransient: {"create: transient", 0.05, "a create fails, and it is unknown what it did"},
	FaultCreateNotFound:  {"create: not found", 0.03, "a create fails with kind not_found"},
	FaultCreateCapacity:  {"create: capacity", 0.04, "a create fails with kind capacity"},
	FaultCreateQuota:     {"create: quota", 0.04, "a create fails with kind quota"},
	FaultCreateThrottled: {"create: throttled", 0.04, "a create fails with kind throttled, with or without a time to come back"},
	FaultCreateConfig:    {"create: config", 0.03, "a create fails with kind config"},
	FaultCreateUnhealthy: {"create: unhealthy", 0.03, "a create fails with kind unhealthy"},
	FaultCreatePartial:   {"create: partial", 0.06, "a create accepts fewer instances than requested, with or without a reason"},
	FaultCreateLies:      {"create: lies", 0.06, "a create succeeds but returns an error"},
	FaultCreateSlow:      {"create: slow", 0.06, "the answer to a create comes after its instances, or minutes later"},
	FaultCreateLate:      {"create: late", 0.05, "the instances of an accepted create appear only minutes later"},
	FaultCallHangs:       {"call hangs", 0.02, "a create, a delete or a heartbeat is answered only by its time-out, minutes later"},
	FaultListHangs:       {"list hangs", 0.015, "a list is answered only by its time-out, minutes later"},
	FaultOddRetryAfter:   {"odd RetryAfter", 0.05, "a failure asks for a pause of an odd length: negative, a nanosecond, hours, or for ever"},
	FaultStockOut:        {"stock-out", 0.04, "for a while creates fail because the provider has no machines"},
	FaultQuotaShrinks:    {"quota shrinks", 0.02, "the account's limit falls to the number of machines, or below"},
	FaultNeverBoots:      {"never boots", 0.05, "a machine stays in creation forever"},
	FaultSlowBoot:        {"slow boot", 0.06, "a machine takes minutes to boot"},
	FaultNameReused:      {"name reused", 0.15, "a new machine has the name of one that is gone"},
	FaultNumbered:        {"numbered", 0.3, "in this world a new machine has the lowest free number, as soon as a list lacked it"},
	FaultReplacedFirst:   {"replaced first", 0.006, "the group replaces machines of ours: the new ones come first, the old ones go minutes later"},
	FaultVanishes:        {"vanishes", 0.02, "a machine disappears without a delete"},
	FaultComesBack:       {"comes back", 0.5, "a machine that vanished exists again"},
	FaultRises:           {"rises", 0.08, "a machine exists again after its delete took effect"},
	FaultLies:            {"lies", 0.025, "for a while lists show a wrong state of a machine"},
	FaultGoesBackwards:   {"goes backwards", 0.03, "a running machine is listed as creating or suspended for a while, or as both in turn"},
	FaultHidden:          {"hidden", 0.03, "for a while lists leave out a machine that exists"},
	FaultReclaimed:       {"reclaimed", 0.02, "the provider deletes a machine without a request"},
	FaultProviderTimeout: {"provider timeout", 0.04, "the provider gives up on a machine that boots"},
	FaultPreexisting:     {"preexisting", 0.4, "there are machines before the first start"},
	FaultListLags:        {"list lags", 0.08, "a list is out of date"},
	FaultListFails:       {"list fails", 0.07, "a list call fails"},
	FaultListRepeats:     {"list repeats", 0.06, "a list repeats the one before"},
	FaultListTruncates:   {"list truncates", 0.04, "a list is cut off"},
	FaultListEmpty:       {"list empty", 0.03, "a list is empty"},
	FaultPrepareFails:    {"prepare fails", 0.12, "connecting or the ready command fails temporarily"},
	FaultPrepareRefused:  {"prepare refused", 0.05, "connecting or the ready command fails permanently"},
	FaultPrepareBroken:   {"prepare broken", 0.05, "no preparation of a machine succeeds"},
	FaultPrepareHangs:    {"prepare hangs", 0.04, "a preparation runs into its timeout"},
	FaultBeatFails:       {"heartbeat fails", 0.12, "a heartbeat fails, often several in a row"},
	FaultBeatUnhealthy:   {"heartbeat unhealthy", 0.01, "the provider says that a machine is unhealthy"},
	FaultHostKey:         {"host key changed", 0.004, "the shell learns that a machine cannot be trusted"},
	FaultUnreachable:     {"unreachable", 0.006, "for a while the provider cannot say how to reach a machine"},
	FaultBadWord:         {"bad word", 0.006, "the shell reports a machine in any state, or an earlier one of its name, as unfit"},
	FaultConnectInfo:     {"connect info fails", 0.03, "at hand-out the provider cannot say how to reach the machine, so the shell reports it as unhealthy"},
	FaultDiesYoung:       {"dies young", 0.05, "for a while machines fail within two minutes of becoming ready"},
	FaultDeleteFails:     {"delete fails", 0.15, "a delete fails"},
	FaultDeleteLies:      {"delete lies", 0.05, "a delete returns not_found or an error, whatever it did"},
	FaultDeleteStuck:     {"delete stuck", 0.06, "a delete that was accepted takes effect only when the faults end"},
	FaultPluginDies:      {"plugin dies", 0.004, "for a while every call fails because the plugin is away"},
	FaultWallForward:     {"wall clock forward", 0.005, "the wall clock jumps forward"},
	FaultWallBack:        {"wall clock back", 0.005, "the wall clock jumps back"},
	FaultReloadCapacity:  {"reload: capacity", 0.004, "capacity_per_instance changes"},
	FaultReloadUses:      {"reload: uses", 0.004, "max_use_count changes"},
	FaultReloadLimit:     {"reload: limits", 0.004, "max_instances, or the provider's limit, changes"},
	FaultReloadPolicies:  {"reload: policies", 0.004, "the policies change"},
	FaultReloadThrottle:  {"reload: throttle", 0.004, "scale_throttle changes"},
	FaultReloadAdopt:     {"reload: adopt", 0.004, "adopt_preexisting changes"},
	FaultCommitFails:     {"commit fails", 0.012, "a commit fails a few times: until it succeeds, nothing is dispatched or stepped"},
	FaultCommitStuck:     {"commit stuck", 0.0015, "a commit fails until the manager stops"},
	FaultShutdownKeeps:   {"shutdown, keeps", 0.0015, "the manager shuts down and its instances stay"},
	FaultShutdownDeletes: {"shutdown, deletes", 0.0015, "the manager shuts down and deletes its instances"},
	FaultDrain:           {"drain", 0.003, "the manager takes no new work for a while"},
	FaultForeignAdds:     {"foreign adds", 0.004, "another manager creates machines in our group"},
	FaultForeignDeletes:  {"foreign deletes", 0.004, "another manager deletes a machine of ours"},

	FaultCrashBeforeCommit:  {"crash before commit", 0.004, "the manager dies before a commit"},
	FaultCrashAfterCommit:   {"crash after commit", 0.004, "the manager dies after a commit, before anything is dispatched"},
	FaultCrashMidGrants:     {"crash amid answers", 0.004, "the manager dies after some of the answers are sent"},
	FaultCrashMidCommands:   {"crash amid commands", 0.004, "the manager dies after the answers and some of the commands are sent"},
	FaultCrashAfterDispatch: {"crash after dispatch", 0.004, "the manager dies after all of a batch is sent"},
	FaultLongDown:           {"long down", 0.1, "the manager is down for up to a day, while machines boot and go"},
	FaultWallWhileDown:      {"wall clock while down", 0.1, "the wall clock jumps while the manager is down"},
	FaultStateLost:          {"state lost", 0.1, "the next life finds an empty store"},

	FaultCancels:          {"caller cancels", 0.12, "a caller gives up its wait"},
	FaultDoubleRelease:    {"double release", 0.08, "a caller releases twice"},
	FaultLateRelease:      {"late release", 0.08, "a caller releases a lease that it no longer has"},
	FaultUnreserveRace:    {"unreserve race", 0.08, "a caller cancels its reservation and acquires at the same time"},
	FaultDuplicateAcquire: {"duplicate acquire", 0.08, "a caller acquires again under a key that waits or is served"},
	FaultAbandons:         {"caller abandons", 0.04, "a caller goes away and never comes back"},
	FaultOvertaken:        {"key overtaken", 0.3, "the provider cannot say how to reach a machine, while its lease's key is acquired again and its caller gives it back"},
	FaultReplaces:         {"caller replaces", 0.08, "a caller returns its lease for one on another instance"},
	FaultDetaches:         {"caller detaches", 0.08, "a caller's connection is lost, and it comes back in time, or too late"},
	FaultReleaseUnhealthy: {"release: unhealthy", 0.04, "a caller says that its instance is unhealthy"},
	FaultReleaseHostKey:   {"release: host key", 0.02, "a caller met another host key"},
	FaultReleaseDoubtful:  {"release: doubtful", 0.03, "a caller got no answer from its instance in time"},
	FaultGivesUpAtRestart: {"gives up at restart", 0.15, "a caller does not come back after a restart"},
}

// String is the fault's name in tables and traces.
func (f Fault) String() string {
	if f < numFaults {
		return faults[f].name
	}
	return "invalid"
}

// occurrence is an opportunity of a fault, by number, at which the fault occurred.
type occurrence struct {
	fault Fault
	n     uint64
}

// hit reports whether f occurs at its next opportunity. Further random numbers for the fault come from w.dice.
func (w *world) hit(f Fault) bool {
	n := w.chances[f]
	w.chances[f]++
	return w.hitAt(f, n)
}

// hitAt is hit for opportunities that have a number of their own.
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

// swarm enables a random set of faults, each at a random intensity, so that rare faults also meet without the others.
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
