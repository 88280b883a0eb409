// Package statestore keeps a group's state at rest: one transaction a batch, durable before anything that follows from the batch is
// done. There are two stores, a bbolt file (the default) and memory; the suite in storetest says what a store is, and a further one
// is written against it.
//
// # The file
//
// A group has one file, state.db (mode 0600, in a directory of its own with mode 0700), locked by one manager at a time. It holds four buckets:
//
//	meta       "format": version of the layout   "group": record.Meta   "guard": see below
//	instances  record.Instance by ID
//	intents    record.Intent by number
//	secrets    connect info by ID, opaque here; gone with its instance
//
// A record is a version byte, a kind byte, a CRC-32C over version, kind, key and payload, and the payload as protobuf fields (a
// number never changes its meaning; unknown numbers are skipped, so that within one version a newer release may add some).
//
// # Damage
//
// bbolt checks neither its pages nor our bytes, and it trusts what it maps: a damaged page may load silently, crash the process, or
// send it into endless recursion. So three things stand between a damaged file and a decision:
//
//   - before bbolt maps the file, every page that it would follow is read and checked (verify.go), both meta pages included: a
//     file that only fell back to its older meta page has forgotten a commit that was acknowledged;
//   - every record's checksum covers its key, so that a record in another's place is noticed;
//   - the guard record, rewritten in every transaction, counts the records and sums their hashes, so that one that is missing, or an
//     old one that came back with a good checksum, is noticed. The sum is kept by difference: a commit costs what it changes.
//
// What is found is a *CorruptError: the file is copied aside and left as it is. A file of a newer release is a *VersionError.
// What cannot be noticed from within is a whole file that was put back, or the latest meta page replaced by its predecessor: both are
// states that were once committed.
package statestore
