// Package providertest checks a provider against the contract of package provider. [Run] tests everything that the comments there
// promise, on an InstanceGroup in the test's own process or behind a plugin process. [Memory] is a reference group that passes.
package providertest
