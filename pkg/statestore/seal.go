package statestore

import (
	"cmp"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// sealedLayout is the layout of an encrypted file. Its buckets are those of layout 1, and meta has one record more: "key", the data key as the
// Keyring has wrapped it. Each payload, but those of "format" and "key", is a nonce and the encrypted payload. Version, kind and key of the
// record are authenticated with it. The checksum and the guard are over the encrypted bytes, so that damage is told from a wrong key.
// Bucket keys (ids of instances, numbers of intents) are not encrypted.
const sealedLayout = 2

var keyDataKey = []byte("key")

// Keyring wraps the data key of an encrypted state, with a key that is not in the state. Package agekeys has one for age identities.
type Keyring interface {
	// Wrap encrypts a data key. Unwrap must be able to decrypt the result.
	Wrap(dataKey []byte) (wrapped []byte, err error)

	// Unwrap decrypts what Wrap returned. current is false if the next Wrap uses another key: then the state is encrypted anew, with a new
	// data key. The error says which keys were tried, without a secret.
	Unwrap(wrapped []byte) (dataKey []byte, current bool, err error)
}

// KeyError means that the state is encrypted, and that no key opens it. The file is not modified.
type KeyError struct {
	Path string
	Err  error // what the Keyring said; nil: there is none
}

// Error says what is missing and what to do.
func (e *KeyError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("state file %s is encrypted, and no key is configured: name the key with which it was written (key_file "+
			"in [runners.autoscaler.state_storage]); the file is not modified", e.Path)
	}
	return fmt.Sprintf("state file %s is encrypted, and no configured key opens it: %v; add the key with which it was written below the others; "+
		"the file is not modified", e.Path, e.Err)
}

// Unwrap returns Err.
func (e *KeyError) Unwrap() error { return e.Err }

// sealed reports whether records of this kind are encrypted in an encrypted file.
func (k kind) sealed() bool { return k != kindFormat && k != kindKey }

// encrypt replaces the payload of the record that starts at start.
func (e *encoder) encrypt(start int, key []byte) {
	body := start + headerSize
	e.plain = append(e.plain[:0], e.buf[body:]...)
	e.buf = append(e.buf[:body], make([]byte, chacha20poly1305.NonceSizeX)...)
	nonce := e.buf[body:]
	_, _ = rand.Read(nonce) // it never fails
	e.buf = e.aead.Seal(e.buf, nonce, e.plain, e.context(e.buf[start], kind(e.buf[start+1]), key))
}

// decrypt returns the payload of an encrypted record. It is valid until the next decrypt.
func (e *encoder) decrypt(version byte, k kind, key, payload []byte) ([]byte, error) {
	if len(payload) < chacha20poly1305.NonceSizeX {
		return nil, damagef("%s is not encrypted, as it should be", describe(k, key))
	}
	nonce, body := payload[:chacha20poly1305.NonceSizeX], payload[chacha20poly1305.NonceSizeX:]
	plain, err := e.aead.Open(e.opened[:0], nonce, body, e.context(version, k, key))
	if err != nil {
		return nil, damagef("%s was not encrypted with the key of this file", describe(k, key))
	}
	e.opened = plain
	return plain, nil
}

// context returns what is authenticated together with a payload. It is valid until the next call.
func (e *encoder) context(version byte, k kind, key []byte) []byte {
	e.bound = append(append(e.bound[:0], version, byte(k)), key...)
	return e.bound
}

// unlockRecords makes the records of the file readable, if its layout is the encrypted one. current reports whether its key is the one that new files
// get.
func unlockRecords(meta *bolt.Bucket, enc *encoder, ring Keyring) (current bool, err error) {
	layout, err := checkFormat(meta, enc)
	if err != nil || layout != sealedLayout {
		enc.aead = nil
		return ring == nil, err
	}
	payload, _, err := enc.open(kindKey, keyDataKey, meta.Get(keyDataKey))
	if err != nil {
		return false, err
	}
	wrapped, err := decodeKey(payload)
	if err != nil {
		return false, err
	}
	if ring == nil {
		return false, &KeyError{}
	}
	key, current, err := ring.Unwrap(wrapped)
	if err != nil {
		return false, &KeyError{Err: err}
	}
	enc.aead, err = chacha20poly1305.NewX(key)
	if err != nil {
		return false, damagef("its data key has %d bytes", len(key))
	}
	return current, nil
}

// The payload of the key record is the wrapped data key.
func appendKey(b, wrapped []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), wrapped)
}

func decodeKey(payload []byte) (wrapped []byte, err error) {
	f := fields{rest: payload}
	for f.next() {
		if f.num == 1 {
			wrapped = append([]byte(nil), f.bytes()...)
		} else {
			f.skip()
		}
	}
	return wrapped, f.err
}

// reseal writes the whole state anew, in one transaction: encrypted with a new data key, or plain if ring is nil.
func (b *Bolt) reseal(s *Snapshot, ring Keyring) error {
	var aead cipher.AEAD
	var wrapped []byte
	if ring != nil {
		key := make([]byte, chacha20poly1305.KeySize)
		_, _ = rand.Read(key) // it never fails
		var err1, err2 error
		aead, err1 = chacha20poly1305.NewX(key)
		wrapped, err2 = ring.Wrap(key)
		if err := cmp.Or(err1, err2); err != nil {
			return fmt.Errorf("state file %s cannot be encrypted: %w", b.path, err)
		}
	}
	before := b.enc.aead
	err := b.db.Update(func(tx *bolt.Tx) error {
		w, err := b.emptied(tx)
		if err != nil {
			return err
		}
		b.enc.aead = aead
		return w.everything(tx, s, wrapped)
	})
	if err != nil {
		b.enc.aead = before
		return fmt.Errorf("state file %s cannot be written anew: %w", b.path, err)
	}
	b.enc = encoder{aead: aead} // its buffers have the size of the whole state
	return nil
}

// emptied removes all records, and returns a writer that continues the count of commits.
func (b *Bolt) emptied(tx *bolt.Tx) (*writer, error) {
	b.enc.reset()
	w := &writer{enc: &b.enc}
	if err := w.open(tx); err != nil {
		return nil, err
	}
	w.guard = guard{seq: w.guard.seq}
	for _, name := range [][]byte{bucketInstances, bucketIntents, bucketSecrets} {
		if err := tx.DeleteBucket(name); err != nil {
			return nil, err
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return nil, err
		}
	}
	w.instances, w.intents, w.secrets = tx.Bucket(bucketInstances), tx.Bucket(bucketIntents), tx.Bucket(bucketSecrets)
	return w, nil
}

// everything writes a whole state into an emptied file. wrapped is the data key; empty: the records are plain.
func (w *writer) everything(tx *bolt.Tx, s *Snapshot, wrapped []byte) error {
	bound := w.meta.Get(keyGroup) != nil
	if err := w.meta.Delete(keyGroup); err != nil {
		return err
	}
	c := Commit{Changes: &record.Changes{Put: s.State.Instances, PutIntents: s.State.Intents}}
	if bound {
		c.Changes.Meta = &s.State.Meta
	}
	for id, value := range s.Secrets {
		c.Secrets = append(c.Secrets, Secret{ID: id, Value: value})
	}
	if err := w.write(&c); err != nil {
		return err
	}
	layout := uint64(layoutVersion)
	if len(wrapped) > 0 {
		layout = sealedLayout
		start := w.enc.begin(kindKey)
		w.enc.buf = appendKey(w.enc.buf, wrapped)
		sealed, _ := w.enc.seal(start, keyDataKey)
		if err := w.meta.Put(keyDataKey, sealed); err != nil {
			return err
		}
	} else if err := w.meta.Delete(keyDataKey); err != nil {
		return err
	}
	return errors.Join(w.meta.Put(keyFormat, w.enc.format(layout)), w.putGuard(tx))
}
