// Package jobexec runs one command on a leased instance: it gets the lease through the control API of a manager, connects to the instance,
// runs the command, and releases the lease.
//
// The lease depends on the connection to the manager. While the manager is away (during a restart, for example), the command continues; when
// a manager is back, the lease is reattached. If the lease is revoked, the command is ended.
package jobexec
