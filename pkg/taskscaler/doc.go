// Package taskscaler keeps a group of short-lived instances at the right size for a queue of jobs, and leases their slots to callers. It is
// the embedding API: the executor of a CI runner calls it, and so does the taskscaler command.
//
// [New] starts a manager for one group. The group is a [provider.InstanceGroup]: a type of your own, or a plugin that plugin.Launch has
// started. The settings are a [Config]; package setup fills one from a config.toml. [WithStore] keeps the state across restarts.
//
// # A job
//
// A caller serves a job in four calls. The key is a string that names the job:
//
//	err := manager.Reserve(ctx, key)        // before the job is accepted: is there a slot for it? Never waits for one
//	lease, err := manager.Acquire(ctx, key) // waits for a slot, and for an instance to boot if necessary
//	client, err := lease.Dial(ctx)          // connects over SSH and verifies the host key
//	err = lease.Release(ctx)                // returns the slot
//
// Reserve is optional. A key has at most one reservation, one wait or one lease at a time. [Taskscaler.Unreserve] cancels a reservation
// that is not needed. When an instance is lost, its leases end: [Lease.Context] is then cancelled with a [*RevokedError] as its cause.
//
// # Restarts
//
// Leases are stored, so they survive a restart. Start the manager on the same store and call [Taskscaler.Reattach] for each job that you
// know of. The manager revokes a lease that no caller reattaches within Config.ReattachAfterRestart.
//
// # The end
//
// Call [Taskscaler.Shutdown] to stop the manager. A manager that cannot continue stops itself: [Taskscaler.Done] is then closed, and
// [Taskscaler.Err] says why.
//
// # How it works
//
// An internal core makes every decision and does no I/O. This package does the I/O and makes no decision. One goroutine, the loop, owns
// the core. Callers, the observer and the workers send it events. The loop passes the events to the core, commits the resulting changes
// in one transaction, and only then answers callers and sends commands to the workers. So a caller never holds a lease that a restart
// does not know, and a slow call to the provider delays only other calls of its kind.
package taskscaler
