package statestore

// WithMaxSize limits the size of the file, to imitate a full disk.
func WithMaxSize(o BoltOptions, bytes int) BoltOptions {
	o.maxSize = bytes
	return o
}

// PermanentIf marks permanent errors of the operating system and bbolt.
var PermanentIf = permanentIf

// Verify checks the pages of a file.
var Verify = verify

// ScrubDelay is how long bytes of removed connect info may stay in the file.
const ScrubDelay = scrubDelay

// Scrub overwrites the free pages of the file.
func Scrub(b *Bolt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.scrub()
}

// PlainRing does not wrap the data key.
var PlainRing Keyring = plainRing{}
