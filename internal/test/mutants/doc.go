// Mutants proves that the suites can fail. It puts one fault after the other into the pure rooms and the shell, and expects the simulation
// tests, or the shell's suites, to find each.
//
// The faults are patches in internal/test/dst/mutants. None ever touches the tree: a patch is applied to copies of the files it names, and the
// copies replace them for one go command by -overlay. What is built without that flag has no fault.
//
//	go run ./internal/test/mutants kill      each patch against the suite that is to find it; writes docs/mutants.md
//	go run ./internal/test/mutants proof     each patch builds, is vetted, and passes the unit tests
//	go run ./internal/test/mutants tool      the first mutants of an off-the-shelf tool, against unit tests and simulation
//	go run ./internal/test/mutants list      docs/mutants.md again from the patches, without running any
//	go run ./internal/test/mutants refresh   patches written again against the tree as it is now
//
// The unit tests here are those that run one part at a time. A test that draws a random world (internal/scaler) or starts a whole manager
// (pkg/taskscaler) is simulation or suite. Which is which is read from the tests' source; see suites.go.
package main

//go:generate go run . list
