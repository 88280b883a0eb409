// Package pb is the protocol between taskscaler and a plugin: messages and service, generated from instancegroup.proto. `go generate`
// generates the same files on every machine that can reach the Go module proxy.
package pb

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
