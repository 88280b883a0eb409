// Package fake is a provider whose cloud is this machine. Each instance is a process: an SSH server on its own loopback port, which runs
// commands with the local shell in its own folder. The provider imitates the faults of a cloud: slow and failed boots, refused creates,
// stock-outs, quotas, delayed lists, and spot reclaims. Package cloudmodel decides when they happen; the simulator uses the same model.
//
// # Folders
//
// The whole state is in the folder of the group. So a new plugin process finds everything again, and several plugins can share a group, as
// several managers can share a group of a real cloud:
//
//	<dir>/lock              held (flock) while the group is changed
//	<dir>/group.json        its start time and the counters
//	<dir>/<id>/spec.json    the instance and its fate; no secret
//	<dir>/<id>/secret.json  the username and the private key that were made for the instance
//	<dir>/<id>/lock         locked by the instance's process as long as it runs; holds its process id
//	<dir>/<id>/ready.json   written when it serves SSH
//	<dir>/<id>/deleting.json  written when it is deleted
//	<dir>/<id>/unhealthy  if this file exists, heartbeats fail
//	<dir>/<id>/work         where commands run
//	<dir>/<id>/record.jsonl the record of events and commands (see package record), unless record_dir is set
//	<dir>/<id>/log          messages of the process
//
// An instance ends when its folder is removed, when it is deleted, or when its fate or its life limit ends it. It outlives the plugin. The
// last instance removes the folder of the group. If there is no instance, Shutdown removes it.
//
// Use this provider for tests and demonstrations only: a command on an instance has all rights of the user who started the plugin.
package fake
