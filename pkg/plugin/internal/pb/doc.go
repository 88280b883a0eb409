// Package pb is the wire between taskscaler and a plugin: messages and service generated from instancegroup.proto. `go generate`
// makes the same bytes on any machine that reaches the Go module proxy.
package pb

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
