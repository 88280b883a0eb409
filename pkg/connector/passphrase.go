package connector

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// DecryptKey returns the private key in PEM form without its passphrase, as ConnectInfo.Key must be: the same bytes for the same key. It takes a moment, because the passphrase of a key is slow to
// check on purpose: call it once, and not before each connection. A key that is not encrypted is returned unchanged. Errors are of type [*KeyError], and
// contain neither the key nor the passphrase.
func DecryptKey(key, passphrase []byte) ([]byte, error) {
	if kind, ok := encrypted(key); !ok {
		return key, nil
	} else if kind == pkcs8 {
		return nil, &KeyError{Reason: "it is encrypted in the form PKCS#8, which cannot be read: convert it with ssh-keygen -p -f FILE"}
	}
	if len(passphrase) == 0 {
		return nil, &KeyError{Reason: lockedReason}
	}
	if n := rounds(key); n > maxRounds {
		return nil, &KeyError{Reason: fmt.Sprintf("its passphrase needs %d rounds, and at most %d are tried: encrypt it again with ssh-keygen -p -a 100 -f FILE", n, maxRounds)}
	}
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(key, passphrase)
	switch {
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, &KeyError{Reason: "the passphrase is wrong: correct key_passphrase, or the file of key_passphrase_path"}
	case err != nil: // the error may quote the key
		return nil, &KeyError{Reason: "it is encrypted, and cannot be read: the passphrase is wrong, the file is damaged, or its type or cipher is not supported " +
			"(ed25519, ecdsa and rsa with aes256-ctr or aes256-cbc are)"}
	}
	if edwards, ok := raw.(*ed25519.PrivateKey); ok {
		raw = *edwards
	}
	// Not in OpenSSH's form, which has random bytes: the same key must be equal after a reload and a restart.
	der, err := x509.MarshalPKCS8PrivateKey(raw)
	if err != nil {
		return nil, &KeyError{Reason: "its type is not supported: expected ed25519, ecdsa or rsa"}
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// maxRounds bounds the time that a passphrase takes to some seconds. ssh-keygen uses 16 to 100 rounds. A damaged file could ask for years.
const maxRounds = 1024

// rounds returns how many rounds of hashing the passphrase of a key in OpenSSH's form needs, or 0 if it has another form.
func rounds(key []byte) uint32 {
	block, _ := pem.Decode(key)
	if block == nil {
		return 0
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00"))
	var head struct {
		Cipher, KDF, Options string
		Rest                 []byte `ssh:"rest"`
	}
	var options struct {
		Salt   string
		Rounds uint32
	}
	if !ok || ssh.Unmarshal(body, &head) != nil || ssh.Unmarshal([]byte(head.Options), &options) != nil {
		return 0
	}
	return options.Rounds
}

const (
	pkcs8        = "ENCRYPTED PRIVATE KEY"
	lockedReason = "it is encrypted, and no passphrase is given: set key_passphrase_path or key_passphrase"
)

// encrypted reports whether a key has a passphrase, and the type of its PEM block.
func encrypted(key []byte) (kind string, is bool) {
	block, _ := pem.Decode(key)
	if block == nil {
		return "", false
	}
	var locked *ssh.PassphraseMissingError
	_, err := ssh.ParseRawPrivateKey(key)
	return block.Type, block.Type == pkcs8 || errors.As(err, &locked)
}
