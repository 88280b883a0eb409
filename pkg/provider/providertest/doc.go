// Package providertest is the contract of package provider made executable: [Run] puts an InstanceGroup through everything that the
// comments there promise, in its own process or through a real plugin process alike. [Memory] is a reference group that passes.
package providertest
