// Package dst is deterministic simulation testing. It runs random worlds of jobs and faults around the real [scaler.Core] and the real log
// of changes. Provider, plugin, connector and store are models; callers keep the contract or misuse it.
//
// One seed gives one schedule, byte for byte. After every step the register is verified. After every batch, oracles check the ten
// invariants against the model's own knowledge: what callers were told, what really exists at the provider, which calls it got, and what
// was committed. At the end the faults stop, the callers finish, and the world must settle. A violation is reported with its seed and a
// shrunk trace in sentences. Coverage is counted, and a run that did not reach everything fails.
//
// Random numbers have keys: the n-th opportunity of a fault, job n, and machine n each have a stream of their own. When one of them is left
// out, the others still draw the same numbers. The shrinker depends on this.
package dst
