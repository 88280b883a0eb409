// Package httpkit has what a plugin of an HTTP API needs: errors with a kind from answers and from the network, and a limit for the rate of calls.
//
// It is apart from package pluginkit, because golang.org/x/time/rate is in the binary of whoever imports it.
package httpkit
