// Package e2e tests taskscaler from outside: real binaries, real plugin processes, real SSH, real state files. Nothing of the
// program under test runs in the test's own process; what is claimed is read from its output, its control API and the instances'
// own records.
package e2e
