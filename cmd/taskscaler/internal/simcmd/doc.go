// Package simcmd implements the command taskscaler simulate between its flags and the packages that simulate, compare and report. It reads
// the configuration (as production does), the model of the cloud and the workload. Then it runs the simulation and writes the report.
//
// Only the report goes to standard output. Notes, warnings and progress go to standard error.
package simcmd
