// Package simcmd is what the command taskscaler simulate does between its flags and the packages that simulate, compare and report: it
// reads the configuration as production does, the model of the cloud and the workload, runs, and writes the report.
//
// Standard output gets the report and nothing else; notes, warnings and progress go to standard error.
package simcmd
