// Package runner is what the executors beside it have in common: the part of a CI runner that takes one job through its life on a leased
// instance. It is an example, to copy and to change.
//
// A Runner gets a lease for the job, connects to the instance, and calls the Executor: Prepare, Run, Cleanup. It decides what an error means:
//
//   - A *BuildError is the job's own fault: its exit code, its time-out, an image that it may not use.
//   - A *SystemError is not: the instance was lost, the connection broke, there was no capacity. If the job had certainly not begun, the
//     Runner tries it again on another instance.
//   - A *CancelledError says that the caller ended the job.
//
// The kinds of error of pkg/taskscaler and pkg/connector decide which it is, and no text of an error does. Cleanup and the release of the lease
// happen in every case.
package runner
