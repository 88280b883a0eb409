package statestore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Load implements Store.
func (b *Bolt) Load(ctx context.Context) (Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead != nil {
		return Snapshot{}, b.dead
	}
	if err := ctx.Err(); err != nil {
		return Snapshot{}, err
	}
	if s := b.first; s != nil {
		b.first = nil
		return *s, nil
	}
	return b.read()
}

// read reads and checks everything.
func (b *Bolt) read() (s Snapshot, err error) {
	err = b.protect(func() error {
		tx, err := b.db.Begin(false)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // of a read-only transaction
		b.enc.reset()
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return damagef("it is a bbolt file, but not a state file")
		}
		if b.current, err = unlockRecords(meta, &b.enc, b.ring); err != nil {
			return err
		}
		s, err = load(tx, meta, &b.enc)
		return err
	})
	if err != nil {
		return Snapshot{}, err
	}
	return s, nil
}

func load(tx *bolt.Tx, meta *bolt.Bucket, enc *encoder) (s Snapshot, err error) {
	var want, found guard
	payload, _, err := enc.open(kindGuard, keyGuard, meta.Get(keyGuard))
	if err != nil {
		return s, err
	}
	if err := want.decode(payload); err != nil {
		return s, err
	}
	if record := meta.Get(keyGroup); record != nil {
		payload, hash, err := enc.open(kindGroup, keyGroup, record)
		if err != nil {
			return s, err
		}
		if err := decodeGroup(payload, &s.State.Meta); err != nil {
			return s, err
		}
		found.add(kindGroup, hash)
	}
	if err := loadInstances(tx, enc, &found, &s.State); err != nil {
		return s, err
	}
	if err := loadIntents(tx, enc, &found, &s.State); err != nil {
		return s, err
	}
	if s.Secrets, err = loadSecrets(tx, enc, &found); err != nil {
		return s, err
	}
	return s, cmp.Or(want.compare(&found), want.checkTx(tx.ID()))
}

// checkFormat returns the layout. It refuses one that this release does not know.
func checkFormat(meta *bolt.Bucket, enc *encoder) (version uint64, err error) {
	payload, _, err := enc.open(kindFormat, keyFormat, meta.Get(keyFormat))
	if err != nil {
		return 0, err
	}
	f := fields{rest: payload}
	for f.next() {
		if f.num == 1 {
			version = f.fixed()
		} else {
			f.skip()
		}
	}
	switch {
	case f.err != nil:
		return 0, f.err
	case version == 0:
		return 0, damagef("the version of its layout is missing")
	case version > sealedLayout:
		return 0, &VersionError{What: "the layout", Found: version, Supported: sealedLayout}
	}
	return version, nil
}

// each calls fn with every record of a bucket, after it has checked the record's checksum and added it to found.
func each(tx *bolt.Tx, name []byte, k kind, enc *encoder, found *guard, fn func(key, payload []byte) error) error {
	bucket := tx.Bucket(name)
	if bucket == nil {
		return damagef("its bucket %s is missing", name)
	}
	return bucket.ForEach(func(key, record []byte) error {
		payload, hash, err := enc.open(k, key, record)
		if err != nil {
			return err
		}
		found.add(k, hash)
		return fn(key, payload)
	})
}

func loadInstances(tx *bolt.Tx, enc *encoder, found *guard, s *record.Saved) error {
	err := each(tx, bucketInstances, kindInstance, enc, found, func(key, payload []byte) (err error) {
		var rec record.Instance
		if err := decodeInstance(payload, &rec); err != nil {
			return fmt.Errorf("%s: %w", describe(kindInstance, key), err)
		}
		rec.ID, err = idOf(key, string(rec.ID))
		s.Instances = append(s.Instances, rec)
		return err
	})
	slices.SortFunc(s.Instances, func(a, b record.Instance) int { return cmp.Compare(a.ID, b.ID) }) // the bucket has long IDs last, by hash
	return err
}

func loadIntents(tx *bolt.Tx, enc *encoder, found *guard, s *record.Saved) error {
	return each(tx, bucketIntents, kindIntent, enc, found, func(key, payload []byte) error {
		if len(key) != 8 {
			return damagef("the key of an intent has %d bytes instead of 8", len(key))
		}
		rec := record.Intent{Op: binary.BigEndian.Uint64(key)}
		if err := decodeIntent(payload, &rec); err != nil {
			return fmt.Errorf("intent %d: %w", rec.Op, err)
		}
		s.Intents = append(s.Intents, rec)
		return nil
	})
}

func loadSecrets(tx *bolt.Tx, enc *encoder, found *guard) (map[record.ID][]byte, error) {
	secrets := make(map[record.ID][]byte)
	return secrets, each(tx, bucketSecrets, kindSecret, enc, found, func(key, payload []byte) error {
		long, value, err := decodeSecret(payload)
		if err != nil {
			return fmt.Errorf("%s: %w", describe(kindSecret, key), err)
		}
		id, err := idOf(key, long)
		secrets[id] = value
		return err
	})
}

// Commit implements Store.
func (b *Bolt) Commit(ctx context.Context, c Commit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead != nil {
		return b.dead
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Empty() {
		return nil
	}
	if err := b.inPlace(); err != nil {
		return err
	}
	return b.protect(func() error {
		tx, err := b.db.Begin(true)
		if err != nil {
			return permanentIf(fmt.Errorf("state file %s: begin: %w", b.path, err))
		}
		w := writer{enc: &b.enc}
		if err := w.apply(tx, &c); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if w.stats.Records == 0 && !b.again {
			return tx.Rollback()
		}
		return b.finish(tx, &w)
	})
}

// Check implements Checker: it returns a *ReplacedError if the state file is no longer in its place.
func (b *Bolt) Check() error { return b.inPlace() }

// inPlace returns a *ReplacedError if the path of the state leads to another file than the open one, or to none. It costs about a microsecond.
func (b *Bolt) inPlace() error {
	named, err := os.Stat(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &ReplacedError{Path: b.path}
	case err == nil && !os.SameFile(b.opened, named):
		return &ReplacedError{Path: b.path, Other: true}
	}
	return nil // another error says nothing about the file; if it matters, the commit fails
}

// permanentIf makes err a *PermanentError where no retry can mend it.
func permanentIf(err error) error {
	for _, final := range []error{syscall.EROFS, berrors.ErrDatabaseNotOpen, berrors.ErrDatabaseReadOnly} {
		if errors.Is(err, final) {
			return &PermanentError{Err: err}
		}
	}
	return err
}

func (b *Bolt) finish(tx *bolt.Tx, w *writer) error {
	b.again = true // until the commit has succeeded: a failed one may have been written
	if err := w.putGuard(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return permanentIf(fmt.Errorf("state file %s cannot be written (is the disk full?): %w", b.path, err))
	}
	b.first = nil
	if err := b.inPlace(); err != nil { // it was replaced meanwhile: nobody may be told of this commit
		return err
	}
	b.again = false
	if w.soiled {
		b.soil()
	}
	stats := tx.Stats()
	w.stats.Seq, w.stats.Pages = w.guard.seq, int(stats.GetPageAlloc())/b.db.Info().PageSize
	b.stats = w.stats
	return nil
}

// writer applies a commit to a transaction and updates the guard.
type writer struct {
	enc   *encoder
	guard guard
	stats CommitStats

	soiled bool // connect info was removed or replaced

	meta, instances, intents, secrets *bolt.Bucket
}

func (w *writer) apply(tx *bolt.Tx, c *Commit) error {
	w.enc.reset()
	if err := w.open(tx); err != nil {
		return err
	}
	return w.write(c)
}

// open finds the buckets and reads the guard.
func (w *writer) open(tx *bolt.Tx) error {
	w.meta, w.instances = tx.Bucket(bucketMeta), tx.Bucket(bucketInstances)
	w.intents, w.secrets = tx.Bucket(bucketIntents), tx.Bucket(bucketSecrets)
	if w.meta == nil || w.instances == nil || w.intents == nil || w.secrets == nil {
		return damagef("a bucket is missing")
	}
	payload, _, err := w.enc.open(kindGuard, keyGuard, w.meta.Get(keyGuard))
	if err != nil {
		return err
	}
	return w.guard.decode(payload)
}

func (w *writer) write(c *Commit) error {
	if c.Changes != nil {
		if err := w.changes(c.Changes); err != nil {
			return err
		}
	}
	for i := range c.Secrets {
		if err := w.secret(&c.Secrets[i]); err != nil {
			return err
		}
	}
	return nil
}

// changes applies c to the buckets, in the order of record.Saved.Apply.
func (w *writer) changes(c *record.Changes) error {
	for i := range c.Put {
		if err := w.instance(&c.Put[i]); err != nil {
			return err
		}
	}
	for _, id := range c.Drop {
		key := w.enc.instanceKey(id)
		if err := errors.Join(w.remove(w.instances, kindInstance, key), w.remove(w.secrets, kindSecret, key)); err != nil {
			return err
		}
	}
	for i := range c.PutIntents {
		key, start := w.enc.intentKey(c.PutIntents[i].Op), w.enc.begin(kindIntent)
		w.enc.buf = appendIntent(w.enc.buf, &c.PutIntents[i])
		if err := w.put(w.intents, kindIntent, key, start); err != nil {
			return err
		}
	}
	for _, op := range c.DropIntents {
		if err := w.remove(w.intents, kindIntent, w.enc.intentKey(op)); err != nil {
			return err
		}
	}
	if c.Meta == nil {
		return nil
	}
	start := w.enc.begin(kindGroup)
	w.enc.buf = appendGroup(w.enc.buf, c.Meta)
	return w.put(w.meta, kindGroup, keyGroup, start)
}

func (w *writer) instance(r *record.Instance) error {
	if err := checkInstance(r); err != nil {
		return err
	}
	key, start := w.enc.instanceKey(r.ID), w.enc.begin(kindInstance)
	w.enc.buf = appendInstance(w.enc.buf, r)
	if err := w.put(w.instances, kindInstance, key, start); err != nil {
		return err
	}
	if keepsSecret(r.State) {
		return nil
	}
	return w.remove(w.secrets, kindSecret, key)
}

func (w *writer) secret(s *Secret) error {
	key := w.enc.instanceKey(s.ID)
	keep := len(s.Value) > 0
	if keep {
		record := w.instances.Get(key)
		if record == nil {
			keep = false
		} else {
			payload, _, err := w.enc.open(kindInstance, key, record)
			if err != nil {
				return err
			}
			state, err := stateOf(payload)
			if err != nil {
				return err
			}
			keep = keepsSecret(state)
		}
	}
	if !keep {
		return w.remove(w.secrets, kindSecret, key)
	}
	start := w.enc.begin(kindSecret)
	w.enc.buf = appendSecret(w.enc.buf, s)
	return w.put(w.secrets, kindSecret, key, start)
}

// put writes the record that was begun at start, unless the bucket has an equal one.
func (w *writer) put(bucket *bolt.Bucket, k kind, key []byte, start int) error {
	if old := bucket.Get(key); old != nil {
		payload, before, err := w.enc.open(k, key, old)
		if err != nil {
			return err
		}
		if bytes.Equal(payload, w.enc.buf[start+headerSize:]) && old[0] == recordVersion {
			w.enc.buf = w.enc.buf[:start]
			return nil
		}
		w.guard.remove(k, before)
		w.soiled = w.soiled || k == kindSecret
	}
	record, hash := w.enc.seal(start, key)
	w.guard.add(k, hash)
	w.count(key, record)
	if err := bucket.Put(key, record); err != nil {
		return fmt.Errorf("statestore: put %s: %w", describe(k, key), err)
	}
	return nil
}

func (w *writer) remove(bucket *bolt.Bucket, k kind, key []byte) error {
	old := bucket.Get(key)
	if old == nil {
		return nil
	}
	_, before, err := w.enc.open(k, key, old)
	if err != nil {
		return err
	}
	w.guard.remove(k, before)
	w.soiled = w.soiled || k == kindSecret
	w.stats.Records++
	if err := bucket.Delete(key); err != nil {
		return fmt.Errorf("statestore: delete %s: %w", describe(k, key), err)
	}
	return nil
}

func (w *writer) putGuard(tx *bolt.Tx) error {
	w.guard.seq++
	w.guard.tx = uint64(tx.ID())
	start := w.enc.begin(kindGuard)
	w.enc.buf = w.guard.append(w.enc.buf)
	record, _ := w.enc.seal(start, keyGuard)
	w.count(keyGuard, record)
	return w.meta.Put(keyGuard, record)
}

func (w *writer) count(key, record []byte) {
	w.stats.Records++
	w.stats.Bytes += len(key) + len(record)
}
