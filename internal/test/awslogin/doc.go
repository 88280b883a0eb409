// Package awslogin measures the way from a lease on a booted machine of AWS to the first output of a command: with a static key, and with a key that EC2
// Instance Connect has to push first.
//
//	go test ./internal/test/awslogin -run - -bench . -benchtime 200x
package awslogin
