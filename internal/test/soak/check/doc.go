// Package check judges a soak: what a manager did with a fleet while it, its plugin, its callers and its machines were killed. It shares no
// code with the manager. Its evidence is the records that the instances wrote (package record), and the log of the driver: what the driver
// asked for, what it was told, what it killed, and what `taskscaler status --json` answered.
//
// # What is proved
//
// Within one instance, the order of the lines in its record is the truth, whatever the clocks say. Times of an instance and of the driver's
// log are compared by the wall clock of the machine that both run on. Each rule has a name, which a Violation carries.
//
//	record     a record is complete: created, booted, commands within the instance's service, each with its own number, one end, nothing after it
//	slot       no two keys ran on one slot of one instance at once. Several commands of one lease (key, slot, use) may
//	uses       an instance ran at most max_use_count keys, each with a use number of its own in 1…max_use_count
//	capacity   at most capacity_per_instance keys ran on an instance at once, on slots 0…capacity-1
//	group      at each create at most max_instances instances existed, including those that boot or are being deleted
//	once       a job's command ran at most once, and all commands of its key ran under one lease
//	told       a job that was told an exit code ran exactly once, with this code and this output. A job that was told that its lease or
//	           connection was lost, or that SIGKILL ended its command, ran on an instance that ended for an outer cause: reclaimed, vanished,
//	           died, expired, or broken by the driver. A refused job ran nothing, and the manager was away at that time. Every job was told
//	           one of these
//	busy       no instance was deleted while a command of a job ran on it, unless the job's client had been killed (its lease counts as
//	           abandoned after some time) or was told that its lease was lost, for which the rule "told" requires an outer cause
//	abandoned  if a client was killed while its command ran, no other key ever ran on that slot: the lease cannot have been returned,
//	           and the instance must be retired. (With keep_instance_with_acquisitions the instance returns to service. Then only
//	           "slot" applies: the next key must find that the command has ended)
//	lease      each status during a job's command shows the job's lease at the right place, in particular the first status after a
//	           restart. No status shows a lease after its job was told its end: a release is not forgotten either
//	retired    a job that was requested after a status had shown an instance as retired never ran on that instance, across restarts
//	status     a status contradicts neither itself nor the records: slots, uses, instances that were never created, ready instances that
//	           never booted, gone instances that exist
//	manager    the manager ended only when it was killed or stopped; when stopped, with exit code 0
//	left       after the shutdown there is no live instance, no process, and no folder of an instance; the state has no live
//	           instance, no lease, and no create that may still bring an instance
//
// # What is not proved
//
// A record shows when a command ran, not how long its lease lasted. So a slot that was leased twice, without two commands at once, is
// noticed only if a status shows it. It cannot be proved from outside that a revocation came before the delete; it can be proved that the
// job was told, and that there was a cause. A lease that was revoked without a cause passes if its instance was reclaimed a moment later. A
// command may have run for some microseconds before its start was recorded.
package check
