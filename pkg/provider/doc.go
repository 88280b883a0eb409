// Package provider is the contract between taskscaler and whatever owns the machines: a cloud's instance group, a hypervisor, a fixed
// list of hosts.
//
// An implementation is a type with the six methods of [InstanceGroup]; [Heartbeater] and [Suspender] are optional. Its exported
// fields with json tags are its configuration: they are filled from plugin_config before Init. Package providertest turns the
// comments here into a test suite, and package plugin serves an implementation as a process of its own.
package provider
