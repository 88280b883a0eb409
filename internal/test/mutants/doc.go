// Mutants shows that the test suites can fail. It puts one fault at a time into the pure rooms or the shell, and expects the simulation or
// the shell's suites to find it.
//
// The faults are patches in internal/test/dst/mutants. A patch never changes the tree: it is applied to copies of the files that it names,
// and the copies replace the files for one go command with -overlay. A build without this flag has no fault.
//
//	go run ./internal/test/mutants kill      run the suite that must find each patch; writes docs/mutants.md
//	go run ./internal/test/mutants proof     check that each patch builds, passes go vet, and passes the unit tests
//	go run ./internal/test/mutants tool      run the first mutants of another tool against the unit tests and the simulation
//	go run ./internal/test/mutants list      write docs/mutants.md from the patches, without running any
//	go run ./internal/test/mutants refresh   write the patches again for the current tree
//
// Here, a unit test is a test that runs one part at a time. A test that draws a random world (internal/scaler) belongs to the simulation,
// and a test that starts a whole manager (pkg/taskscaler) belongs to the suites. The program finds out from the source of the tests; see
// suites.go.
package main

//go:generate go run . list
