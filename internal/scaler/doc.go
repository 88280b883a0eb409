// Package scaler is the judge: it decides everything that taskscaler decides, and does nothing.
//
// A [Core] is told what happened by [Core.Step] and says by [Core.Take] what follows from it: changes to commit, commands to carry
// out, answers to callers, facts to publish and the moment it wants to be woken. It reads no clock and starts nothing; the same events at the same
// times give the same batches, byte for byte, whether a production shell or a simulator drives it.
//
// A Core is not safe for concurrent use: one goroutine owns it.
package scaler
