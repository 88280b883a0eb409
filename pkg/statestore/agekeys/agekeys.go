// Package agekeys encrypts the key of a state with age identities (https://age-encryption.org). A file with them is made with
// `age-keygen -o FILE`.
//
// A file has one identity on each line; lines that begin with # are comments. The first identity encrypts, all of them decrypt. To change the
// key, put a new identity above the old one and start the manager: it encrypts the state anew. Then remove the old one.
package agekeys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"filippo.io/age"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// maxFile is the largest file of identities that is read.
const maxFile = 64 << 10

// Keys is a statestore.Keyring. It is safe for concurrent use.
type Keys struct {
	name       string // where the identities are from, for messages
	identities []age.Identity
	recipient  age.Recipient // of the first one
	public     string        // the recipients of all, for messages
}

var _ statestore.Keyring = (*Keys)(nil)

// Load reads the identities in a file. Nobody but its owner, who must be this user or root, may read or write the file.
func Load(path string) (*Keys, error) {
	return load(path, func(info os.FileInfo) error {
		mode := info.Mode().Perm()
		if uid, known := ownerOf(info); known && uid != 0 && uid != os.Geteuid() {
			return fmt.Errorf("key file %s belongs to user %d: chown %d %s", path, uid, os.Geteuid(), path)
		}
		if runtime.GOOS != "windows" && mode&0o077 != 0 { // the mode has no meaning on Windows
			return fmt.Errorf("key file %s can be read or written by other users (mode %04o): chmod 600 %s", path, mode, path)
		}
		return nil
	})
}

// LoadCredential reads the identities in a credential of systemd: the file with this name in the folder $CREDENTIALS_DIRECTORY. systemd protects
// the folder. getenv is os.Getenv.
func LoadCredential(name string, getenv func(string) string) (*Keys, error) {
	dir := getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, fmt.Errorf("credential %q: $CREDENTIALS_DIRECTORY is not set: write LoadCredential=%s:FILE into the systemd unit, or use a key file", name, name)
	}
	return load(dir+"/"+name, func(os.FileInfo) error { return nil })
}

func load(path string, check func(os.FileInfo) error) (*Keys, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a pipe could wait for ever
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is not a regular file", path)
	}
	if err := check(info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("key file %s is larger than %d bytes: it has one age identity on each line", path, maxFile)
	}
	keys, err := Parse(path, text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return keys, nil
}

// Parse reads identities. name says where they are from, for messages. No error contains a part of text.
func Parse(name string, text []byte) (*Keys, error) {
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil || len(identities) == 0 {
		return nil, errors.New("it does not have one age identity (AGE-SECRET-KEY-…) on each line: make it with age-keygen -o FILE")
	}
	k := &Keys{name: name, identities: identities}
	var public []string
	for i, id := range identities {
		r, text := recipientOf(id)
		if r == nil {
			return nil, fmt.Errorf("identity %d is of a kind that cannot encrypt: make one with age-keygen", i+1)
		}
		if i == 0 {
			k.recipient = r
		}
		public = append(public, text)
	}
	k.public = strings.Join(public, ", ")
	return k, nil
}

func recipientOf(id age.Identity) (age.Recipient, string) {
	switch id := id.(type) {
	case *age.X25519Identity:
		return id.Recipient(), id.Recipient().String()
	case *age.HybridIdentity:
		return id.Recipient(), shorten(id.Recipient().String())
	}
	return nil, ""
}

// shorten keeps the beginning of a recipient. Those of hybrid identities have 2,000 characters.
func shorten(text string) string {
	if len(text) > 70 {
		return text[:70] + "…"
	}
	return text
}

// Wrap implements statestore.Keyring.
func (k *Keys) Wrap(dataKey []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, k.recipient)
	if err != nil {
		return nil, fmt.Errorf("age: %w", err)
	}
	if _, err := w.Write(dataKey); err != nil {
		return nil, fmt.Errorf("age: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("age: %w", err)
	}
	return out.Bytes(), nil
}

// Unwrap implements statestore.Keyring.
func (k *Keys) Unwrap(wrapped []byte) (dataKey []byte, current bool, err error) {
	for i, id := range k.identities {
		r, err := age.Decrypt(bytes.NewReader(wrapped), id)
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("age: %w", err)
		}
		if dataKey, err = io.ReadAll(r); err != nil {
			return nil, false, fmt.Errorf("age: %w", err)
		}
		return dataKey, i == 0, nil
	}
	return nil, false, fmt.Errorf("%s has only the keys of %s", k.name, k.public)
}

// String does not show the identities.
func (k *Keys) String() string { return "keys of " + k.public }

// GoString does not show them either.
func (k *Keys) GoString() string { return k.String() }
