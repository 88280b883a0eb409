package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// signer has a key, and signs files.
type signer interface {
	public() string                        // the file of the public key
	sign(t *testing.T, path string) string // the file of the bundle
}

// ownSigner writes bundles as cosign does, for machines without it.
type ownSigner struct {
	dir string
	key *ecdsa.PrivateKey
}

func newOwnSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := ownSigner{t.TempDir(), key}
	if err := os.WriteFile(s.public(), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s ownSigner) public() string { return filepath.Join(s.dir, "cosign.pub") }

func (s ownSigner) sign(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {"publicKey": {"hint": "x"}}, `+
		`"messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": %q}, "signature": %q}}`,
		base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(signature))
	bundle := filepath.Join(s.dir, filepath.Base(path)+".bundle")
	if err := os.WriteFile(bundle, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return bundle
}

// realSigner runs cosign.
type realSigner struct{ binary, dir string }

func newRealSigner(t *testing.T) signer {
	t.Helper()
	binary, err := exec.LookPath("cosign")
	if err != nil {
		t.Skip("there is no cosign; to run this test: go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3")
	}
	s := realSigner{binary, t.TempDir()}
	s.run(t, "generate-key-pair")
	return s
}

func (s realSigner) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(s.binary, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "COSIGN_PASSWORD=", "HOME="+s.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cosign %q: %v: %s", args, err, out)
	}
}

func (s realSigner) public() string { return filepath.Join(s.dir, "cosign.pub") }

func (s realSigner) sign(t *testing.T, path string) string {
	t.Helper()
	bundle := filepath.Join(s.dir, filepath.Base(path)+".bundle")
	s.run(t, "sign-blob", "--yes", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--bundle", bundle, path)
	return bundle
}

// TestPluginSignatures goes through a real registry with signed plugins: what is signed by the key is installed, nothing else is, and the lock file keeps the key.
func TestPluginSignatures(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	addr, _ := startRegistry(t)
	built := buildVersions(t, "1.0.0", "1.1.0", "1.2.0")
	t.Run("bundles of this test", func(t *testing.T) { signatures(t, addr+"/own/hosts", built, newOwnSigner(t), newOwnSigner(t)) })
	t.Run("bundles of cosign", func(t *testing.T) { signatures(t, addr+"/cosign/hosts", built, newRealSigner(t), newRealSigner(t)) })
}

func signatures(t *testing.T, source, built string, good, other signer) {
	folder := t.TempDir()
	step := func(code int, want string, args ...string) string {
		t.Helper()
		got, stdout, stderr := tryIn(folder, args...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Fatalf("%q: %d, %q, %q; want %d, %q", args, got, stdout, stderr, code, want)
		}
		return stdout
	}
	empty := func() {
		t.Helper()
		if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
			t.Fatalf("something was installed: %v, %v", entries, err)
		}
	}
	file := func(name string) string { return filepath.Join(built, name) }
	install := func(args ...string) []string { return append([]string{"plugin", "install"}, args...) }

	// A push with a wrong bundle puts nothing there.
	foreign := good.sign(t, file("1.1.0"))
	step(exitFailed, "it is of other bytes", "plugin", "push", source+":1.0.0", file("1.0.0"), "--bundle", foreign)
	step(exitFailed, "cosign.pub: it is no bundle of sigstore", "plugin", "push", source+":1.0.0", file("1.0.0"), "--bundle", good.public())
	step(exitFailed, "absent: no such file", "plugin", "push", source+":1.0.0", file("1.0.0"), "--bundle", "absent")

	// A version without a signature, one with the signature of another, and then with the right one, without another digest.
	before := step(0, "", "plugin", "push", source+":1.0.0", file("1.0.0"))
	step(exitFailed, "the registry has no signature of it", install(source, "--key", good.public())...)
	step(0, "", "plugin", "push", source+":1.0.0", file("1.0.0"), "--bundle", other.sign(t, file("1.0.0")))
	step(exitFailed, "its signature is not by this key", install(source, "--key", good.public())...)
	empty()
	after := step(0, "", "plugin", "push", source+":1.0.0", file("1.0.0"), "--bundle", good.sign(t, file("1.0.0")))
	if before != after {
		t.Errorf("the signature changed the image: %s, %s", before, after)
	}
	step(0, "  signed by sha256:", install(source, "--key", good.public())...)
	step(0, "  signed by sha256:", install(source, "--key", other.public())...) // both have signed
	step(0, "  1.0.0  ", install(source)...)

	// Keys that are none.
	step(exitFailed, "no such file", install(source, "--key", "absent.pub")...)
	step(exitUsage, "--key is empty", install(source, "--key", "")...)
	step(exitFailed, "it is no key in PEM", install(source, "--key", foreign)...)

	lockedKey(t, source, built, good, other, step)
}

// lockedKey installs a configuration: the key of the first install holds for the later ones.
func lockedKey(t *testing.T, source, built string, good, other signer, step func(code int, want string, args ...string) string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.toml")
	text := "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"" + source + ":1\"\nmax_instances = 1\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	install := func(args ...string) []string {
		return append([]string{"plugin", "install", "--config", config}, args...)
	}
	step(0, "  signed by sha256:", install("--key", good.public())...)
	lock := filepath.Join(filepath.Dir(config), "taskscaler.lock")
	raw, err := os.ReadFile(lock)
	if err != nil || !strings.Contains(string(raw), "key = '") {
		t.Fatalf("%s, %v", raw, err)
	}
	step(0, "  signed by sha256:", install()...)                                            // without the flag
	step(exitFailed, "take the new key with --update", install("--key", other.public())...) // another key, which has signed it too
	step(0, "", "plugin", "push", source+":1.1.0", filepath.Join(built, "1.1.0"))
	step(exitFailed, source+":1.1.0 is not installed, because the key", install("--update")...)
	step(0, "", "plugin", "push", source+":1.1.0", filepath.Join(built, "1.1.0"), "--bundle", good.sign(t, filepath.Join(built, "1.1.0")))
	step(0, "  1.1.0  ", install("--update")...)
	step(0, "", "plugin", "push", source+":1.2.0", filepath.Join(built, "1.2.0"), "--bundle", other.sign(t, filepath.Join(built, "1.2.0")))
	step(exitFailed, "its signature is not by this key", install("--update")...)
	step(0, "  1.2.0  ", install("--update", "--key", other.public())...)
	step(0, "", "plugin", "lock", "--config", config) // keeps the key
	step(0, "  signed by sha256:", install()...)
	if raw, err = os.ReadFile(lock); err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), "key = '") + len("key = '")
	if err := os.WriteFile(lock, []byte(string(raw[:at])+"%"+string(raw[at+1:])), 0o600); err != nil {
		t.Fatal(err)
	}
	step(exitFailed, "taskscaler.lock: it is damaged", install()...)
}
