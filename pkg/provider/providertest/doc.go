// Package providertest checks a provider against the contract of package provider in go test. [Run] makes the checks of package conformance on an
// InstanceGroup in the test's own process or behind a plugin process. [Memory] is a reference group that passes.
package providertest
