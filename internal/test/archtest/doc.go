// Package archtest checks the architecture in tests: which room may import what, and why (rooms.go); which language features the pure rooms
// may not use, so that a decision is always the same (walk.go); where secrets must not be (secrets.go); how large a file may be
// (budget.go); and that names in the documents about the code exist (names.go).
//
// The rules are tested themselves: testdata/bad holds a small package for each thing that they must reject.
//
// A range over a map in a pure room needs a comment on its line, or on the line above, that says why the order does not matter:
//
//	//archtest:unordered each value is only added to a sum
package archtest
