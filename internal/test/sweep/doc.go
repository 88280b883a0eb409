// Sweep puts thousands of small faults into a package, one at a time, and runs the tests that reach each. It lists the faults that no test
// finds: gaps of the tests, code that does nothing, and faults that change nothing.
//
//	go run ./internal/test/sweep ./internal/fleet ./pkg/policy            try every fault of these packages
//	go run ./internal/test/sweep -dst 300 -with ./pkg/taskscaler ./internal/scaler   first the simulation, then tests of two packages
//	go run ./internal/test/sweep -list ./internal/fleet                   list the faults only
//
// All faults are woven into copies of the sources at once, each behind its number, and the environment variable TASKSCALER_MUTANT turns
// one on. So each test binary is built once (with -overlay: the tree is not changed), and a fault costs only its run. Coverage says which
// tests reach a line; only these run.
//
// The faults are: a condition, or an operand of && or ||, that is always true or false; < for <= and the like; a statement that is left out
// (an assignment, a call, a continue, break or return); a field of a composite literal that stays zero.
package main
