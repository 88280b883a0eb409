//go:build !unix

package descriptors

// KeepPrivate does nothing: processes inherit only what they are given.
func KeepPrivate() error { return nil }
