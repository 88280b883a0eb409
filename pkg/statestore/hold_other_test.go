//go:build !linux

package statestore_test

func holdChild() {}
