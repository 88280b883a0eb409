package statestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// layoutVersion is the version of the layout of a plain file: buckets, keys and guard. An encrypted file has sealedLayout.
const layoutVersion = 1

var (
	bucketMeta      = []byte("meta")
	bucketInstances = []byte("instances")
	bucketIntents   = []byte("intents")
	bucketSecrets   = []byte("secrets")

	keyFormat = []byte("format")
	keyGroup  = []byte("group")
	keyGuard  = []byte("guard")
)

// The file grows in small steps. Its mapping is large from the start, so that a commit rarely has to wait for a new one.
const (
	growStep   = 256 << 10
	initialMap = 64 << 20
)

// BoltOptions are the options of a Bolt. The zero value is ready to use.
type BoltOptions struct {
	Socket string           // path of the control socket, for Owner.Socket; empty: none
	Now    func() time.Time // the clock for Owner.Start and the names of copies; nil: time.Now

	// Keyring encrypts the state. Each payload is encrypted with a data key, which is in the file as the Keyring has wrapped it. A plain file is
	// encrypted when it is opened. nil: the state is plain, and an encrypted one is refused with a *KeyError.
	Keyring Keyring

	// Plain makes OpenBolt decrypt an encrypted state, with Keyring, and store it in plain text from then on.
	Plain bool

	maxSize int // for tests: the largest size of the file in bytes, to imitate a full disk; 0: no limit
}

// Bolt is a store in one bbolt file. Open one with OpenBolt.
type Bolt struct {
	dir, path string
	now       func() time.Time
	made      []string // directories that OpenBolt created
	warnings  []string
	claim     claim

	mu     sync.Mutex
	db     *bolt.DB
	file   *os.File    // db's
	opened fs.FileInfo // of file, to find out whether another file has its name now
	dead   error       // why db cannot be used any more: ErrClosed, or the damage that made it panic
	first  *Snapshot   // the state that OpenBolt has read, until Load returns it or a commit changes it
	again  bool        // the last commit failed: write the next one even if it changes nothing
	soiled bool        // free pages may hold connect info that was removed

	ring    Keyring // nil: there is no key
	current bool    // the file has the key that new files get

	scrubber *time.Timer // of the next scrub; nil: none was needed yet
	enc      encoder
	stats    CommitStats
}

var (
	_ Store   = (*Bolt)(nil)
	_ Checker = (*Bolt)(nil)
)

// CommitStats is the cost of a Bolt's last commit that wrote something.
type CommitStats struct {
	Seq     uint64 // the number of the commit in the file, starting at 1
	Records int    // records written or deleted, the guard included
	Bytes   int    // bytes of the keys and values that were written
	Pages   int    // pages that bbolt wrote, without the meta page
}

// OpenBolt locks and opens the state in the directory dir, and reads all of it. It creates the directory and the file if they do not exist.
// It returns a *LockedError if another manager has the state open, also if the file or the directory was replaced meanwhile; a *VersionError,
// a *CorruptError, or an error that says what is wrong with the directory. If it cannot find out who has a lock, it waits for it for a second.
func OpenBolt(dir string, opts BoltOptions) (*Bolt, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	b := &Bolt{dir: dir, path: filepath.Join(dir, fileName), now: opts.Now, ring: opts.Keyring}
	if b.now == nil {
		b.now = time.Now
	}
	if err := b.open(opts); err != nil {
		_ = b.release() // err is the first error
		b.claim.release()
		removeDirs(b.made)
		return nil, err
	}
	return b, nil
}

// open takes the locks before it creates anything: in the order path, directory, file.
func (b *Bolt) open(opts BoltOptions) error {
	direct, err := resolve(b.dir)
	if err != nil {
		return err
	}
	if b.warnings, err = checkAbove(b.dir, direct); err != nil {
		return err
	}
	held, warnings, err := claimPath(b.dir, direct)
	if err != nil {
		return err
	}
	b.claim, b.warnings = held, append(b.warnings, warnings...)
	if b.made, err = prepareDir(b.dir); err != nil {
		return err
	}
	if err := b.claim.claimDir(b.dir); err != nil {
		return err
	}
	if err := b.openFile(opts); err != nil {
		return err
	}
	removeNew(b.dir)
	first, err := b.read()
	if err != nil {
		return err
	}
	if err := b.settleKey(&first, opts); err != nil {
		return err
	}
	if err := b.scrub(); err != nil {
		b.warnings = append(b.warnings, fmt.Sprintf("credentials of deleted instances may still be in %s: %v", b.path, err))
	}
	b.first = &first
	return writeOwner(b.dir, opts.Socket, b.now())
}

// settleKey encrypts a plain state, decrypts an encrypted one, or changes its key, as the options ask for.
func (b *Bolt) settleKey(first *Snapshot, opts BoltOptions) error {
	ring := opts.Keyring
	if opts.Plain {
		ring = nil
	}
	switch isSealed := b.enc.aead != nil; {
	case ring == nil && isSealed, ring != nil && !b.current:
		return b.protect(func() error { return b.reseal(first, ring) })
	}
	return nil
}

var errReplaced = errors.New("the state file was replaced while it was opened")

// openFile opens the file, and creates it if it does not exist. Another process may remove the file (see Remove) between any two steps, so
// it tries again.
func (b *Bolt) openFile(opts BoltOptions) (err error) {
	for range 10 {
		info, statErr := os.Stat(b.path)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			if err := notDangling(b.path, "state file"); err != nil {
				return err
			}
			if err := b.create(); err != nil {
				return err
			}
		case statErr != nil:
			return fmt.Errorf("state file: %w", statErr)
		case !info.Mode().IsRegular():
			return fmt.Errorf("state file %s is a directory or a special file: move it away, or set another directory", b.path)
		}
		err = b.openDB(opts)
		if !errors.Is(err, errReplaced) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("state file %s: %w", b.path, err)
}

func (b *Bolt) openDB(opts BoltOptions) error {
	return b.protect(func() (err error) {
		b.db, err = bolt.Open(b.path, 0o600, &bolt.Options{
			Timeout:         time.Nanosecond, // do not wait for the lock: we have it already, or another process has it
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: initialMap,
			MaxSize:         opts.maxSize,
			OpenFile:        func(path string, _ int, _ fs.FileMode) (*os.File, error) { return b.openVerified(path) },
		})
		if errors.Is(err, berrors.ErrTimeout) {
			return lockedBy(b.dir, b.file)
		}
		if err != nil {
			return err
		}
		b.db.AllocSize = growStep
		return nil
	})
}

// openVerified opens the file for bbolt: it locks it, removes access for other users, and checks every page.
func (b *Bolt) openVerified(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("state file cannot be opened for writing: %w", err)
	}
	b.file = f
	held, err := lock(f)
	if err != nil {
		return nil, fmt.Errorf("state file %s cannot be locked (does its file system support locks?): %w", path, err)
	}
	if !held {
		return nil, lockedBy(b.dir, f)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(info, named) {
		_ = b.release()
		return nil, errReplaced
	}
	b.opened = info
	if err := checkOwner("state file", path, info); err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		b.warnings = append(b.warnings, fmt.Sprintf("state file %s was open to other users (mode %04o): its mode is 0600 now, but they may have read the credentials of instances in it",
			path, info.Mode().Perm()))
		if err := f.Chmod(0o600); err != nil {
			return nil, fmt.Errorf("state file %s is open to others (mode %04o), and its mode cannot be changed: %w", path, info.Mode().Perm(), err)
		}
	}
	return f, verify(f, info.Size())
}

// create makes a new file with an empty state. It appears under its name when it is complete.
func (b *Bolt) create() error {
	tmp, err := os.CreateTemp(b.dir, newPrefix+"*")
	if err != nil {
		return fmt.Errorf("state directory %s cannot be written: %w", b.dir, err)
	}
	name := tmp.Name()
	defer os.Remove(name)
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	db, err := bolt.Open(name, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return fmt.Errorf("state file in %s cannot be created: %w", b.dir, err)
	}
	if err := errors.Join(db.Update(b.layOut), db.Close()); err != nil {
		return fmt.Errorf("state file in %s cannot be created: %w", b.dir, err)
	}
	return publish(name, b.path)
}

// layOut writes an empty state.
func (b *Bolt) layOut(tx *bolt.Tx) error {
	b.enc.reset()
	for _, name := range [][]byte{bucketMeta, bucketInstances, bucketIntents, bucketSecrets} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	format := b.enc.format(layoutVersion)
	start := b.enc.begin(kindGuard)
	b.enc.buf = (&guard{tx: uint64(tx.ID())}).append(b.enc.buf)
	empty, _ := b.enc.seal(start, keyGuard)
	meta := tx.Bucket(bucketMeta)
	return errors.Join(meta.Put(keyFormat, format), meta.Put(keyGuard, empty))
}

// Dir returns the state directory.
func (b *Bolt) Dir() string { return b.dir }

// Warnings returns what OpenBolt found that does not prevent the use of the state but should be mended, with what to do.
func (b *Bolt) Warnings() []string { return b.warnings }

// Stats returns the cost of the last commit that wrote something.
func (b *Bolt) Stats() CommitStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// Close implements Store.
func (b *Bolt) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.close()
}

// Remove closes the store and deletes its file, and the directories that OpenBolt created if they are empty. A private manager uses it to
// leave nothing behind.
func (b *Bolt) Remove() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.dead, ErrClosed) {
		return ErrClosed
	}
	err := b.inPlace()
	if err == nil {
		err = os.Remove(b.path) // while it is locked: a process that opens it now finds that it no longer has this name
	}
	err = errors.Join(err, b.close())
	removeDirs(b.made)
	return err
}

func (b *Bolt) close() error {
	if errors.Is(b.dead, ErrClosed) {
		return nil
	}
	_ = os.Remove(filepath.Join(b.dir, ownerName)) // while we hold the lock; if this fails, the next owner overwrites it
	if b.soiled && b.dead == nil {
		_ = b.scrub() // if this fails, the next start does it
	}
	if b.scrubber != nil {
		b.scrubber.Stop()
	}
	err := b.release()
	b.claim.release()
	b.dead, b.first = ErrClosed, nil
	if err != nil {
		return fmt.Errorf("close state file %s: %w", b.path, err)
	}
	return nil
}

// release releases the lock. After a panic, bbolt may hold its own locks for ever. Then only the file is closed, and the mapping stays.
func (b *Bolt) release() (err error) {
	switch {
	case b.db != nil && b.dead == nil:
		err = b.db.Close()
	case b.file != nil:
		err = errors.Join(unlock(b.file), b.file.Close())
	}
	b.db, b.file = nil, nil
	return err
}

// protect runs fn, which reads mapped memory: bbolt's assertions panic, and reading a truncated file faults. It turns these, and damage that
// fn finds, into a *CorruptError and copies the file aside.
func (b *Bolt) protect(fn func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if r := recover(); r != nil {
			err = b.corrupt(fmt.Sprintf("reading it failed: %v", r))
			b.dead = err
		}
	}()
	err = fn()
	var found damage
	var version *VersionError
	var key *KeyError
	switch {
	case errors.As(err, &key):
		key.Path = b.path
		return key
	case errors.As(err, &found):
		return b.corrupt(err.Error())
	case errors.As(err, &version):
		version.Path = b.path
		return version
	}
	return err
}

func (b *Bolt) corrupt(what string) error {
	to, err := copyAside(b.path, b.now())
	if err != nil {
		what += fmt.Sprintf(" (and it could not be copied: %v)", err)
	}
	return &CorruptError{Path: b.path, Copy: to, What: what}
}
