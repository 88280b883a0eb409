// Package check judges a soak: what a manager did to a fleet while it, its plugin, its callers and its machines were killed. It shares no code
// with the manager. Its two witnesses are the records that the instances themselves appended to (package record), and the log of the driver,
// which says what the driver asked for, what it was told, whom it killed, and what `taskscaler status --json` answered.
//
// # What is proved
//
// Within one instance the order of its record's lines is the truth, whatever clocks say. Between an instance and the driver's log the wall
// clock of the one machine that both run on is compared. Each rule has a name, which a Violation carries.
//
//	record     a record is one: created, booted, commands within the instance's service, each with its own number, one end, nothing after it
//	slot       no two keys ran on one slot of one instance at once. Several commands of one lease (key, slot, use) may
//	uses       an instance ran at most max_use_count keys, each with a use number of its own in 1…max_use_count
//	capacity   at most capacity_per_instance keys ran on an instance at once, on slots 0…capacity-1
//	group      at no create did more than max_instances instances exist, booting and leaving ones included
//	once       a job's command ran at most once, and everything under its key under one lease
//	told       who was told an exit code ran exactly once, with this code and this output. Who was told that the lease or the connection was
//	           lost, or that SIGKILL ended the command, ran on an instance that an outer cause ended: reclaimed, vanished, died, expired,
//	           or broken by the driver. Who was refused ran nothing, and the manager was away meanwhile. Nobody was told anything else,
//	           or nothing
//	busy       no instance was asked to go while a command of a job ran on it, unless that job's client had been killed (its lease is
//	           abandoned when its time is over) or was told that its lease was lost, for which the rule "told" wants an outer cause
//	abandoned  where a client was killed while its command ran, no other key ever ran on that slot: its lease cannot have been given
//	           back, and its instance has to be retired. (With keep_instance_with_acquisitions the instance returns to service; then only
//	           "slot" holds: the next key must find the command gone)
//	lease      each status that was asked while a job's command ran shows the job's lease where the command ran; above all the first
//	           one after a restart. And none shows a lease whose job was told its end before: a release is not forgotten either
//	retired    a job that was asked for after a status had shown an instance on its way out never ran on that instance, restarts or not
//	status     a status contradicts neither itself nor the records: slots, uses, instances that nobody made, ready ones that never booted,
//	           gone ones that live
//	manager    the manager ended only when it was killed or stopped, and then with exit code 0
//	left       after the shutdown there is no instance alive, no process, no folder of an instance, and in the state no live
//	           instance, no lease, no create that may still come to something
//
// # What is not
//
// A record shows when a command ran, not how long its lease lasted: that a slot was leased twice without two commands at once is seen
// only if a status shows it. That a revocation came before the delete is not provable from outside: that the job was told, and that there was
// cause, is. A lease that was revoked without cause on an instance that was reclaimed a moment later passes. A command may have run for the
// microseconds before its start was written.
package check
