// Package archtest keeps the law of the house as tests: which room may import what, and why (rooms.go); what the pure rooms may not
// even say (walk.go), because a decision must come out the same whenever and wherever it is made; where secrets may not go (secrets.go);
// how large a file may grow (budget.go); and that the names in the documents about the code exist (names.go).
//
// The rules are themselves tested on what they must reject: testdata/bad holds one small package for each.
//
// To range over a map in a pure room, say on its line, or on the one above, why the order does not matter:
//
//	//archtest:unordered each value is only added to a sum
package archtest
