package statestore

// WithMaxSize limits the file, as a full disk does.
func WithMaxSize(o BoltOptions, bytes int) BoltOptions {
	o.maxSize = bytes
	return o
}

// Verify is the check of a file's pages.
var Verify = verify
