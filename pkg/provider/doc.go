// Package provider is the contract between taskscaler and the system that owns the machines: a cloud's instance group, a hypervisor, or a
// fixed list of hosts.
//
// A provider is a type with the six methods of [InstanceGroup]. [Heartbeater] and [Suspender] are optional. The exported fields of the
// type, with their json tags, are its configuration: they are filled from plugin_config before Init is called.
//
// Package providertest checks a provider against the comments here. Package plugin runs a provider as a process of its own.
package provider
