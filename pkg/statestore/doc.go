// Package statestore keeps the state of a group durably. The manager commits each batch of changes in one transaction, and acts on it only
// when it is durable. There are two stores: [Bolt], a bbolt file (the default), and [Memory]. The suite in package storetest defines how a
// store behaves; test a store of your own with it.
//
// # The file
//
// A group has one file, state.db (mode 0600, in a directory of its own with mode 0700). One manager at a time holds its lock. The file has
// four buckets:
//
//	meta       "format": version of the layout   "group": record.Meta   "guard": see below
//	instances  record.Instance by ID
//	intents    record.Intent by number
//	secrets    connect info by ID, opaque to the store; removed with its instance
//
// A record is a version byte, a kind byte, a CRC-32C over version, kind, key and payload, and the payload as protobuf fields. The number of
// a field never changes its meaning, and unknown numbers are skipped, so a newer release can add fields within one version.
//
// # Damage
//
// bbolt verifies neither its pages nor our bytes, and it trusts the memory that it maps. A damaged page may load silently, crash the process,
// or cause endless recursion. Three checks find damage before any decision uses it:
//
//   - Before bbolt maps the file, every page that it can follow is read and checked (verify.go). Both meta pages must be valid: bbolt
//     works with the older one alone, but then an acknowledged commit is lost.
//   - The checksum of a record covers its key, so a record in the place of another one is found.
//   - Every transaction rewrites the guard record, which holds the number of records and the sum of their hashes. So a missing record is
//     found, and so is an old one with a valid checksum. The sum is updated by difference: a commit costs only what it changes. The guard
//     also has the number of its transaction, so that a page which holds a whole older state is found.
//
// Damage is reported as a [*CorruptError]. The file is copied aside and not modified. A file of a newer release is a [*VersionError].
//
// # Encryption
//
// With BoltOptions.Keyring each payload is encrypted with a data key, which is a record of meta ("key"), wrapped by the Keyring (seal.go). The
// layout is then 2.
//
// # What is removed
//
// bbolt keeps the bytes of removed records in free pages. The store overwrites free pages with zeros within ten seconds after a commit that
// removed or replaced connect info, at Close, and at OpenBolt (scrub.go). So the file holds the connect info of instances that exist, and no
// other. Copies are not covered: backups, snapshots of the file system, the copy of a damaged file, and cells that a flash disk has replaced.
//
// Two kinds of change cannot be found from within the file, because both restore a state that was once committed: an old copy of the
// whole file, and the latest meta page replaced by its predecessor.
package statestore
