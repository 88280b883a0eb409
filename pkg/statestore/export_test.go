package statestore

// WithMaxSize limits the file, as a full disk does.
func WithMaxSize(o BoltOptions, bytes int) BoltOptions {
	o.maxSize = bytes
	return o
}

// PermanentIf sorts the errors of the operating system and bbolt.
var PermanentIf = permanentIf

// Verify is the check of a file's pages.
var Verify = verify
