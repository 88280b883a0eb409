package cosign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	maxKey    = 64 << 10 // bytes
	maxBundle = 1 << 20
)

// Key is a public key that signs plugins: ECDSA on the curve P-256, as `cosign generate-key-pair` makes it.
type Key struct {
	From   string // the file that it is from
	public *ecdsa.PublicKey
	der    []byte // PKIX
}

// KeyError says that a public key cannot be used.
type KeyError struct {
	From string // the file
	Err  error
}

// Error names the file.
func (e *KeyError) Error() string { return "key " + e.From + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *KeyError) Unwrap() error { return e.Err }

// ReadKey reads the file of a public key, cosign.pub. The error is a *KeyError.
func ReadKey(path string) (*Key, error) {
	data, err := readFile(path, maxKey)
	if err != nil {
		return nil, &KeyError{path, fmt.Errorf("%w: give the file cosign.pub of whoever publishes the plugin", err)}
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return nil, &KeyError{path, errors.New("it is no key in PEM: give the file cosign.pub of whoever publishes the plugin")}
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, &KeyError{path, errors.New("it is the private key, which only the publisher needs: give the public one (`cosign public-key --key FILE` writes it)")}
	case block.Type != "PUBLIC KEY":
		return nil, &KeyError{path, fmt.Errorf("it has %q, and no PUBLIC KEY: `cosign public-key --key FILE` writes one", block.Type)}
	}
	return parse(path, block.Bytes)
}

// ParseKey reads the text of a key, as Text returns it. from is the file that has it. The error is a *KeyError.
func ParseKey(from, text string) (*Key, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, &KeyError{from, fmt.Errorf("it is damaged (%w): restore the file, or give the key again", err)}
	}
	return parse(from, der)
}

func parse(from string, der []byte) (*Key, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, &KeyError{from, fmt.Errorf("it is damaged (%w): get it again from whoever publishes the plugin", err)}
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, &KeyError{from, fmt.Errorf("it is of the kind %s, and only ECDSA on P-256 is supported: make one with `cosign generate-key-pair`", kind(public))}
	}
	return &Key{From: from, public: key, der: der}, nil
}

func kind(public any) string {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA on " + k.Params().Name
	case *rsa.PublicKey:
		return "RSA"
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", public), "*")
}

// Text returns the key in one line, for a lock file.
func (k *Key) Text() string { return base64.StdEncoding.EncodeToString(k.der) }

// Fingerprint returns "sha256:" and the sum of the key, in hexadecimal digits. It is what `openssl pkey -pubin -in cosign.pub -outform DER | sha256sum` prints.
func (k *Key) Fingerprint() string {
	sum := sha256.Sum256(k.der)
	return fingerprint(sum[:])
}

func fingerprint(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// Equal reports whether two keys are the same.
func (k *Key) Equal(o *Key) bool { return k.public.Equal(o.public) }

// readFile reads a small regular file.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: to open a pipe waits
	switch {
	case err != nil:
		return nil, pathless(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, pathless(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, err
}

// pathless removes the path from an error whose reader knows it.
func pathless(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
