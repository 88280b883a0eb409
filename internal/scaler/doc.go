// Package scaler makes every decision for one instance group: when to create an instance, which caller gets which slot, and when to retire,
// delete or give up on an instance. It only decides; the caller carries the decisions out.
//
// A [Core] is a state machine. [Core.Step] tells it one event. [Core.Take] returns what follows from the events since the last Take:
// changes to commit, commands to carry out, answers to callers, facts to publish, and the time at which the core wants to be woken. The
// core reads no clock and starts no goroutine. The same events at the same times always give the same batches, byte for byte. It does not
// matter whether the manager (pkg/taskscaler) or the simulator drives it.
//
// A Core is not safe for concurrent use: one goroutine owns it.
package scaler
