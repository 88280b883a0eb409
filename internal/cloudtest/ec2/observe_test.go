package ec2

import "testing"

// recorder returns what checks each answer of a test's server.
func recorder(*testing.T) func(answered) { return nil }
