// Package fleet is the register of one group: its instances, the slots that are leased and to which key, the unfinished creates, and the
// legal moves between states.
//
// It records and decides nothing. Every change is a named method of [Register] that refuses an illegal move with an [*IllegalMove].
// [Register.TakeChanges] returns what changed since its last call, as whole records, each once. [Register.Check] verifies every invariant
// from scratch.
package fleet
