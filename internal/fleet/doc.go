// Package fleet is the register: which instances there are, which slots are leased to whom, which creates are unfinished, and which
// moves between states are legal.
//
// It keeps the books and judges nothing. Every mutation is a named method of [Register] that refuses an illegal move with an
// [*IllegalMove]; what changed since the last [Register.TakeChanges] comes out as whole records, each once. [Register.Check] verifies
// every invariant from scratch.
package fleet
