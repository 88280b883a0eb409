// Package simulate runs the production core, policies and configuration on virtual time, so that a planner learns how long jobs would
// wait and what it would cost before anything is bought.
//
// [Run] is one run: a heap of events in the order of (time, sequence), the jobs of a workload, a cloud of pkg/cloudmodel, and one
// scaler.Core that cannot tell that it is being simulated. A run starts no goroutine, reads no clock and is a function of its options:
// the same seed gives the same result, byte for byte. [Replicas] runs several side by side and says how sure the means are.
//
// Readers of workloads are in package workload, reports in package report, comparing and choosing policies in package optimise.
package simulate
