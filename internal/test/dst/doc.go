// Package dst is deterministic simulation testing: seeded worlds of jobs and faults around the real [scaler.Core] and the real log of
// changes, with a modelled provider, plugin, connector and store, and callers that keep the contract or misuse it.
//
// One seed is one schedule, byte for byte. After every step the books are verified, after every batch the ten invariants are judged by
// oracles that read the model's own truth: what callers were told, what the provider really has and was asked, what was committed. At the
// end the faults stop, the callers finish, and the world must settle to its fixed point. A violation is reported with its seed and a
// shrunk trace in sentences; coverage is counted, and a run that did not reach everything fails.
//
// Chance is keyed: the n-th opportunity of a fault, job n, machine n draw from streams of their own, so that dropping one of them leaves
// the luck of the others as it was. That is what the shrinker lives on.
package dst
