// Package fake is a provider whose cloud is this machine. Every instance is a process of its own: an SSH server on a loopback port of its
// own, which runs commands through the local shell in a folder of its own. What a cloud does to its customers (boots that take
// their time or fail, refused creates, stock-outs, quotas, lists that lag, spot reclaims) it does too, as pkg/cloudmodel says,
// which is also the cloud of the simulator.
//
// # Folders
//
// The truth is in the group's folder, so that a plugin that was killed finds everything again, and several plugins can share a group
// as several managers can share a real one:
//
//	<dir>/lock              held (flock) while the group is changed
//	<dir>/group.json        when it began, and the counters
//	<dir>/<id>/spec.json    who the instance is and what fate has in store for it; no secret
//	<dir>/<id>/secret.json  the name and password that the instance made up
//	<dir>/<id>/lock         held by the instance's process as long as it lives; its process id
//	<dir>/<id>/ready.json   written when it serves SSH
//	<dir>/<id>/deleting.json  written when it has to go
//	<dir>/<id>/unhealthy  whoever makes this file declares the machine broken: heartbeats fail
//	<dir>/<id>/work         where commands run
//	<dir>/<id>/record.jsonl what ran when (see package record), unless record_dir is set
//	<dir>/<id>/log          what the process itself has to say
//
// An instance ends when its folder goes, when it is told to, when its fate or its life limit says so. It outlives the plugin. The last
// one removes the group's folder, as Shutdown does when there is none.
//
// It is for tests and demonstrations: a command on an instance can do all that the user can who started the plugin.
package fake
