//go:build !unix

package pathguard

// Check returns nil: there are no Unix owners and modes.
func Check(string) error { return nil }

// Walk finds nothing, for the same reason.
func Walk(string, func(*Fault) error) error { return nil }
