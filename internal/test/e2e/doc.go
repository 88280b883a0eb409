// Package e2e tests taskscaler from outside: real binaries, real plugin processes, real SSH, real state files. No code of the program under
// test runs in the process of the test. The tests read its output, its control API, and the records that the instances write.
package e2e
