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

// layoutVersion is the version of the file's layout: buckets, keys and guard.
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

// The file grows by small steps, and its mapping is large enough that it need not be made anew while somebody waits for a commit.
const (
	growStep   = 256 << 10
	initialMap = 64 << 20
)

// BoltOptions are the settings of a Bolt. The zero value is good.
type BoltOptions struct {
	Socket string           // told to the next one that wants the lock, with pid, host and start
	Now    func() time.Time // stamps owner.json and the copies of damaged files; nil: time.Now

	maxSize int // for tests: the file's size in bytes, as if the disk were full then
}

// Bolt is the store in one bbolt file.
type Bolt struct {
	dir, path string
	now       func() time.Time
	made      []string // directories that did not exist before

	mu     sync.Mutex
	db     *bolt.DB
	file   *os.File    // db's
	opened fs.FileInfo // file's, to notice that another file has its name now
	dead   error       // why nothing more can be asked of db: ErrClosed, or what it panicked with
	first  *Snapshot   // what was read when it was opened, until it is wanted or out of date
	again  bool        // the last commit failed: the next one is to be written whatever it says
	enc    encoder
	stats  CommitStats
}

var _ Store = (*Bolt)(nil)

// CommitStats is the cost of a Bolt's last commit that wrote something.
type CommitStats struct {
	Seq     uint64 // the commit's number in the file
	Records int    // records written or deleted, the guard included
	Bytes   int    // of the keys and values of those that were written
	Pages   int    // pages that bbolt wrote for that, the meta page aside
}

// OpenBolt opens the state in dir, which nobody else may have open, and reads all of it. Both are made if they do not exist. Its
// error is a *LockedError, *VersionError or *CorruptError, or says what is wrong with the directory.
func OpenBolt(dir string, opts BoltOptions) (*Bolt, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	b := &Bolt{dir: dir, path: filepath.Join(dir, fileName), now: opts.Now}
	if b.now == nil {
		b.now = time.Now
	}
	if b.made, err = prepareDir(dir); err != nil {
		return nil, err
	}
	if err := b.open(opts); err != nil {
		_ = b.release() // err says more
		removeDirs(b.made)
		return nil, err
	}
	return b, nil
}

func (b *Bolt) open(opts BoltOptions) error {
	if err := b.openFile(opts); err != nil {
		return err
	}
	removeNew(b.dir)
	first, err := b.read()
	if err != nil {
		return err
	}
	b.first = &first
	return writeOwner(b.dir, opts.Socket, b.now())
}

var errReplaced = errors.New("the state file was replaced while it was opened")

// openFile opens the file, and makes it first if need be. It may be removed (see Remove) between any two steps, so it tries again.
func (b *Bolt) openFile(opts BoltOptions) (err error) {
	for range 10 {
		info, statErr := os.Stat(b.path)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			if err := b.create(); err != nil {
				return err
			}
		case statErr != nil:
			return fmt.Errorf("state file: %w", statErr)
		case !info.Mode().IsRegular():
			return fmt.Errorf("state file %s is a directory or another thing that is no file: move it away, or set another directory", b.path)
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
			Timeout:         time.Nanosecond, // the lock is ours already, or bbolt's to refuse at once
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: initialMap,
			MaxSize:         opts.maxSize,
			OpenFile:        func(path string, _ int, _ fs.FileMode) (*os.File, error) { return b.openVerified(path) },
		})
		if errors.Is(err, berrors.ErrTimeout) {
			return &LockedError{Dir: b.dir, Owner: readOwner(b.dir)}
		}
		if err != nil {
			return err
		}
		b.db.AllocSize = growStep
		return nil
	})
}

// openVerified opens the file for bbolt: locked, closed to others and with every page checked.
func (b *Bolt) openVerified(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("state file cannot be opened for writing: %w", err)
	}
	b.file = f
	held, err := lock(f)
	if err != nil {
		return nil, fmt.Errorf("state file %s cannot be locked (does its file system have locks?): %w", path, err)
	}
	if !held {
		return nil, &LockedError{Dir: b.dir, Owner: readOwner(b.dir)}
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
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return nil, fmt.Errorf("state file %s is open to others (mode %04o) and cannot be closed: %w", path, info.Mode().Perm(), err)
		}
	}
	return f, verify(f, info.Size())
}

// create makes a new file of an empty state, all at once.
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
		return fmt.Errorf("state file in %s cannot be made: %w", b.dir, err)
	}
	if err := errors.Join(db.Update(b.layOut), db.Close()); err != nil {
		return fmt.Errorf("state file in %s cannot be made: %w", b.dir, err)
	}
	return publish(name, b.path)
}

// layOut writes what an empty state consists of.
func (b *Bolt) layOut(tx *bolt.Tx) error {
	b.enc.reset()
	for _, name := range [][]byte{bucketMeta, bucketInstances, bucketIntents, bucketSecrets} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	start := b.enc.begin(kindFormat)
	b.enc.buf = appendFixed(b.enc.buf, 1, layoutVersion)
	format, _ := b.enc.seal(start, keyFormat)
	start = b.enc.begin(kindGuard)
	b.enc.buf = new(guard).append(b.enc.buf)
	empty, _ := b.enc.seal(start, keyGuard)
	meta := tx.Bucket(bucketMeta)
	return errors.Join(meta.Put(keyFormat, format), meta.Put(keyGuard, empty))
}

// Dir is the directory of the state.
func (b *Bolt) Dir() string { return b.dir }

// Stats tells the cost of the last commit.
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

// Remove closes the store and removes it: its file, and those directories that opening it has made, as far as they are empty.
// Private managers leave nothing behind that way.
func (b *Bolt) Remove() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.dead, ErrClosed) {
		return ErrClosed
	}
	err := os.Remove(b.path) // while it is locked: whoever opens it now finds that it is not the named one any more
	err = errors.Join(err, b.close())
	removeDirs(b.made)
	return err
}

func (b *Bolt) close() error {
	if errors.Is(b.dead, ErrClosed) {
		return nil
	}
	_ = os.Remove(filepath.Join(b.dir, ownerName)) // while the lock is ours; one that stays is overwritten by the next owner
	err := b.release()
	b.dead, b.first = ErrClosed, nil
	if err != nil {
		return fmt.Errorf("close state file %s: %w", b.path, err)
	}
	return nil
}

// release gives the lock up. After a panic bbolt may hold locks of its own for ever, so that only the file is closed and the mapping
// stays.
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

// protect runs what reads mapped memory: bbolt's assertions panic, and a file that was cut off faults. Damage becomes a *CorruptError,
// with the file copied aside.
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
	switch {
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
