// Package jobexec runs one command on a leased instance: it takes the lease from a manager by its control API, dials the instance itself,
// streams the command, and gives the lease back.
//
// The lease follows its connection to the manager. While the manager is away (it was restarted, say) the command goes on; the lease is
// taken up again when a manager is back. A lease that was revoked ends the command.
package jobexec
