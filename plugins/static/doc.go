// Package static is a provider for people without a cloud: a fixed list of hosts that are always on. "Creating" an instance takes a free host into
// use, and "deleting" it runs the reset command on the host, if there is one, and frees the host.
//
// # Instances and hosts
//
// An instance is one use of a host. Its id is the name of the host, a dash, and the ordinal of this use: build1-7. So a late question about an earlier
// use never concerns a later one.
//
// # State
//
// Which hosts are in use is in a file, so that a new plugin process, or the second process of a reload, knows it:
//
//	<dir>/lock        held (flock) while the state is read and changed
//	<dir>/manager     the process of the manager; held (flock, shared) as long as its plugin works with the folder
//	<dir>/state.json  the uses; no secret
//
// A host whose reset command fails stays in state deleting, and the command is repeated until it succeeds. Such a host is not used again before.
package static
