// Package taskscaler keeps a fleet of short-lived machines at the right size for a queue of jobs and hands out their slots as leases. It
// is the embedding API: a CI runner's executor, or the taskscaler command, calls it.
//
// [New] takes a [provider.InstanceGroup] (in process, or a plugin's from package plugin) and a [Config]. A job is then served in four
// calls:
//
//	err := scaler.Reserve(ctx, job)       // before the job is accepted: is there a place for it?
//	lease, err := scaler.Acquire(ctx, job) // waits for a slot, if need be for a machine to boot
//	client, err := lease.Dial(ctx)        // the machine, by SSH; its host key is checked
//	err = lease.Release(ctx)              // the slot is free for the next job
//
// [Taskscaler.Unreserve] gives a reservation up that no job came for. A lease ends by itself when its instance is lost: its
// [Lease.Context] then ends with a [*RevokedError].
//
// # How it works
//
// Everything that is decided is decided by package scaler, which does nothing; this package does everything and decides nothing. One
// goroutine, the loop, owns the core. Callers, the observer and the workers put events into its inbox; the loop steps all that waits,
// commits the changes in one transaction, and only then answers callers and gives commands to the workers. So no caller ever sees a
// lease that a restart would not know, and a slow provider call stalls nothing but itself.
package taskscaler
