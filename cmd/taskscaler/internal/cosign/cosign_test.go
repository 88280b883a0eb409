package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files in testdata are of cosign itself: testdata/README.md says how they were made.
const (
	signed      = "testdata/plugin"
	goodBundle  = "testdata/plugin.bundle"
	goodKey     = "testdata/cosign.pub"
	otherKey    = "testdata/other.pub"
	attestation = "testdata/attestation.bundle"
)

func sumOf(t *testing.T, path string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(read(t, path)))
	return hex.EncodeToString(sum[:])
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func key(t *testing.T, path string) *Key {
	t.Helper()
	k, err := ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestVerify: a signature of cosign holds for its bytes and its key, and for nothing else.
func TestVerify(t *testing.T) {
	b, err := ReadBundle(goodBundle)
	if err != nil {
		t.Fatal(err)
	}
	sum, k := sumOf(t, signed), key(t, goodKey)
	if err := k.Verify(b, sum); err != nil || b.SHA256() != sum {
		t.Errorf("%v, %s", err, b.SHA256())
	}
	if err := k.Verify(b, strings.ToUpper(sum)); err != nil {
		t.Error(err)
	}
	logged := strings.Replace(read(t, goodBundle), `"publicKey"`, `"tlogEntries": [{"logIndex": "1"}], "publicKey"`, 1) // a transparency log is not asked
	if b, err := ParseBundle("x", []byte(logged)); err != nil || k.Verify(b, sum) != nil {
		t.Errorf("with an entry of a log: %v", err)
	}
	other := hex.EncodeToString(make([]byte, sha256.Size))
	otherSum := b
	otherSum.sum = make([]byte, sha256.Size) // the bundle claims the other bytes
	unnamed := b
	unnamed.hint = ""
	for _, c := range []struct {
		name string
		key  *Key
		b    Bundle
		sum  string
		want string
	}{
		{"another key", key(t, otherKey), b, sum, "it says that it is by the key " + k.Fingerprint()},
		{"another key, without a hint", key(t, otherKey), unnamed, sum, "is not by this key, or it was changed"},
		{"other bytes", k, b, other, "it is of other bytes (sha256 " + sum},
		{"other bytes, and a bundle that claims them", k, otherSum, other, "is not by this key, or it was changed"},
		{"no sum", k, b, "", "is no SHA-256 sum"},
		{"a sum of another kind", k, b, strings.Repeat("0", 128), "is no SHA-256 sum"},
	} {
		err := c.key.Verify(c.b, c.sum)
		var kind *BundleError
		if !errors.As(err, &kind) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), goodBundle) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// TestSecurityEachBitOfASignature: no changed signature is accepted.
func TestSecurityEachBitOfASignature(t *testing.T) {
	b, err := ReadBundle(goodBundle)
	if err != nil {
		t.Fatal(err)
	}
	sum, k := sumOf(t, signed), key(t, goodKey)
	whole := b.signature
	for i := range len(whole) * 8 {
		b.signature = []byte(string(whole))
		b.signature[i/8] ^= 1 << (i % 8)
		if k.Verify(b, sum) == nil {
			t.Errorf("bit %d: accepted", i)
		}
	}
	for i := range whole {
		if b.signature = whole[:i]; k.Verify(b, sum) == nil {
			t.Errorf("%d bytes: accepted", i)
		}
	}
}

// TestBundlesThatAreNone: what is no signature of a file by a key is refused, and named.
func TestBundlesThatAreNone(t *testing.T) {
	good := read(t, goodBundle)
	material := good[strings.Index(good, `"publicKey"`):]
	material = material[:strings.Index(material, "}")+1]
	digest := base64.StdEncoding.EncodeToString(hexBytes(t, sumOf(t, signed)))
	swap := func(old, text string) string {
		t.Helper()
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q is not once in %s", old, good)
		}
		return strings.Replace(good, old, text, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "it is no bundle of sigstore"},
		{"text", "hello", "it is no bundle of sigstore"},
		{"an empty object", "{}", "it is of the type"},
		{"half of one", good[:len(good)/2], "it is no bundle of sigstore"},
		{"the bundle of cosign 2", `{"base64Signature":"MEUCIQ==","cert":"","rekorBundle":null}`, "it is no bundle of sigstore"},
		{"an older type", swap("bundle.v0.3+json", "bundle.v0.2+json"), "v0.2+json\", and"},
		{"a certificate", swap(material, `"certificate": {"rawBytes": "AAAA"}`), "of an identity"},
		{"no material", swap(material, ""), "of an identity"},
		{"an attestation", read(t, attestation), "it is an attestation"},
		{"another kind of digest", swap("SHA2_256", "SHA2_512"), "SHA2_512"},
		{"no digest", swap(digest, ""), "bundles of Ed25519 keys"},
		{"a short digest", swap(digest, "AAAA"), "3 bytes"},
		{"an unknown key", swap(`"mediaType"`, `"x": 1, "mediaType"`), "it is no bundle of sigstore"},
		{"deep", strings.Repeat(`{"verificationMaterial":`, 30_000), "it is no bundle of sigstore"},
		{"large", strings.Repeat(" ", maxBundle) + good, "more than"},
	} {
		path := filepath.Join(t.TempDir(), "x.bundle")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadBundle(path)
		var kind *BundleError
		if !errors.As(err, &kind) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "`cosign ") {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	for path, want := range map[string]string{"testdata": "not a regular file", "absent": "no such file", "/dev/zero": "not a regular file"} {
		if _, err := ReadBundle(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

func hexBytes(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestKeysThatAreNone: a key that cannot be used is refused with what to do.
func TestKeysThatAreNone(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "it is no key in PEM"},
		{"a bundle", read(t, goodBundle), "it is no key in PEM"},
		{"the private key", "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "it is the private key"},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", `it has "CERTIFICATE"`},
		{"damaged", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "it is damaged"},
		{"large", read(t, goodKey) + strings.Repeat("\n", maxKey), "more than"},
		{"RSA", publicPEM(t, "RSA"), "of the kind RSA, and only ECDSA on P-256"},
		{"Ed25519", publicPEM(t, "Ed25519"), "of the kind Ed25519, and"},
		{"P-384", publicPEM(t, "P-384"), "of the kind ECDSA on P-384, and"},
	} {
		path := filepath.Join(t.TempDir(), "x.pub")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(path)
		var kind *KeyError
		if !errors.As(err, &kind) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	for path, want := range map[string]string{"testdata": "not a regular file", "absent": "no such file"} {
		if _, err := ReadKey(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "give the file cosign.pub") {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

func publicPEM(t *testing.T, kind string) string {
	t.Helper()
	var private crypto.Signer
	var err error
	switch kind {
	case "RSA":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "Ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "P-384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestKeyAsText: a key survives a lock file, and its fingerprint is the one that other tools print.
func TestKeyAsText(t *testing.T) {
	k := key(t, goodKey)
	again, err := ParseKey("taskscaler.lock", k.Text())
	if err != nil || !again.Equal(k) || again.Fingerprint() != k.Fingerprint() || strings.ContainsAny(k.Text(), " \n") {
		t.Fatalf("%v, %q", err, k.Text())
	}
	block, _ := pem.Decode([]byte(read(t, goodKey)))
	sum := sha256.Sum256(block.Bytes)
	if want := "sha256:" + hex.EncodeToString(sum[:]); k.Fingerprint() != want {
		t.Errorf("%s; want %s", k.Fingerprint(), want)
	}
	if key(t, otherKey).Equal(k) {
		t.Error("two keys are equal")
	}
	for _, text := range []string{"%", "AAAA", ""} {
		var kind *KeyError
		if _, err := ParseKey("taskscaler.lock", text); !errors.As(err, &kind) || !strings.Contains(err.Error(), "taskscaler.lock: it is damaged") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzBundle: no bytes make the parser panic, and what it accepts has a sum and a signature.
func FuzzBundle(f *testing.F) {
	for _, path := range []string{goodBundle, attestation} {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := ParseBundle("x", data); err == nil && (len(b.SHA256()) != 64 || len(b.signature) == 0) {
			t.Errorf("%q, %d", b.SHA256(), len(b.signature))
		}
	})
}
