// Package simulate runs the production core, policies and configuration on virtual time. A planner learns how long jobs wait and what the
// fleet costs, before buying anything.
//
// [Run] is one run. It has a heap of events in the order of (time, sequence), the jobs of a workload, a cloud of pkg/cloudmodel, and one
// core, the same code that runs in production. A run starts no goroutine and reads no clock. Its result depends only on its options: the
// same seed gives the same result, byte for byte. [Replicas] runs several copies in parallel, and [Over] gives the confidence intervals of
// their means.
//
// Package workload reads workloads, package report writes reports, and package optimise compares and chooses policies.
package simulate
