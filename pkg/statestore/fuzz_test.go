package statestore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// plainRing does not wrap the data key. It is for tests of what is encrypted with it.
type plainRing struct{}

func (plainRing) Wrap(key []byte) ([]byte, error) { return bytes.Clone(key), nil }

func (plainRing) Unwrap(wrapped []byte) ([]byte, bool, error) { return wrapped, true, nil }

// sealedPassword is the payload "password" of the secret "key", encrypted with a data key of zeros. It is fixed, because the processes of a fuzz
// run must agree on it.
const sealedPassword = "54762b0aee70ebbcdbfcddb1e221fd15515086896fe0ce328f8a264f09b6df9ab49f8f2376a3d94046c50c98a21eebfd"

// FuzzSealedRecord opens any bytes as an encrypted record with a valid checksum: they are damage, unless they are the record itself.
func FuzzSealedRecord(f *testing.F) {
	aead, err := chacha20poly1305.NewX(make([]byte, chacha20poly1305.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	enc := encoder{aead: aead}
	good, err := hex.DecodeString(sealedPassword)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(kindSecret), []byte("key"), good)
	f.Add(byte(kindInstance), []byte("key"), good)
	f.Add(byte(kindSecret), []byte("other"), good)
	f.Add(byte(kindSecret), []byte("key"), []byte{})
	f.Fuzz(func(t *testing.T, k byte, key, payload []byte) {
		bare := encoder{}
		start := bare.begin(kind(k))
		bare.buf = append(bare.buf, payload...)
		forged, _ := bare.seal(start, key)
		plain, _, err := enc.open(kind(k), key, forged)
		var found damage
		switch own := kind(k) == kindSecret && string(key) == "key" && bytes.Equal(payload, good); {
		case own && (err != nil || string(plain) != "password"):
			t.Errorf("the record itself: %q, %v", plain, err)
		case !own && kind(k).sealed() && !errors.As(err, &found):
			t.Errorf("another record was accepted: %v", err)
		}
	})
}

// FuzzSealedFile overwrites any part of an encrypted file with any bytes: it is damaged, newer, or what was committed.
func FuzzSealedFile(f *testing.F) {
	dir := f.TempDir() + "/group"
	b, err := OpenBolt(dir, BoltOptions{Keyring: plainRing{}})
	if err != nil {
		f.Fatal(err)
	}
	c := Commit{
		Changes: &record.Changes{Put: []record.Instance{{ID: "i-1", Serial: 1, State: record.Ready}, {ID: "i-2", Serial: 2, State: record.Creating}}, Meta: &record.Meta{Group: "g"}},
		Secrets: []Secret{{ID: "i-1", Value: []byte("password")}},
	}
	if err := errors.Join(b.Commit(context.Background(), c), b.Close()); err != nil {
		f.Fatal(err)
	}
	image, err := os.ReadFile(dir + "/state.db")
	if err != nil {
		f.Fatal(err)
	}
	for at := range len(image) / os.Getpagesize() {
		f.Add(uint32(at*os.Getpagesize()+100), []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		damaged := bytes.Clone(image)
		copy(damaged[int(at)%len(damaged):], patch)
		dir := t.TempDir() + "/group"
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/state.db", damaged, 0o600)); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBolt(dir, BoltOptions{Keyring: plainRing{}})
		var corrupt *CorruptError
		var version *VersionError
		if errors.As(err, &corrupt) || errors.As(err, &version) {
			return
		}
		if err != nil {
			t.Fatalf("neither damaged nor newer: %v", err)
		}
		defer b.Close()
		loaded, err := b.Load(context.Background())
		if err != nil || len(loaded.State.Instances) != 2 || loaded.State.Meta.Group != "g" || string(loaded.Secrets["i-1"]) != "password" {
			t.Errorf("%v, %v", loaded, err)
		}
	})
}
