package connector

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// FuzzPrivateKey: whatever a file of key_path holds, it is a key that can log in, or the error says what is wrong and shows nothing of the file or of the
// passphrase. A key that was decrypted is the same key without a passphrase.
func FuzzPrivateKey(f *testing.F) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	const phrase = "open-sesame-1"
	for _, key := range []any{edwards, curve} {
		plain, err := ssh.MarshalPrivateKey(key, "a comment")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pem.EncodeToMemory(plain), []byte(nil))
		locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "a comment", []byte(phrase))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pem.EncodeToMemory(locked), []byte(phrase))
		f.Add(pem.EncodeToMemory(locked), []byte("hunter2-hunter2"))
		f.Add(pem.EncodeToMemory(locked), []byte(nil))
		f.Add(pem.EncodeToMemory(locked)[:200], []byte(phrase))
	}
	for _, text := range []string{
		"", "-----BEGIN", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n",
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
	} {
		f.Add([]byte(text), []byte("a passphrase"))
	}
	f.Fuzz(func(t *testing.T, key, passphrase []byte) {
		if n := rounds(key); n > 16 && n <= maxRounds {
			return // slow on purpose
		}
		open, err := DecryptKey(key, passphrase)
		if err != nil {
			checkKeyError(t, err, key, passphrase)
			return
		}
		signer, err := parseKey(open, false)
		if err != nil {
			checkKeyError(t, err, key, passphrase)
			return
		}
		if signature, err := signer.Sign(rand.Reader, []byte("x")); err != nil || signature == nil {
			t.Fatalf("a key that cannot sign: %v", err)
		}
		if again, err := DecryptKey(open, nil); err != nil || string(again) != string(open) {
			t.Fatalf("a key without a passphrase is changed: %v", err)
		}
	})
}

// checkKeyError checks that the error is a KeyError that shows nothing of the secrets. Short pieces may be in it by chance.
func checkKeyError(t *testing.T, err error, key, passphrase []byte) {
	t.Helper()
	var bad *KeyError
	if !errors.As(err, &bad) || bad.Reason == "" {
		t.Fatalf("got %v", err)
	}
	own := []string{"PRIVATE", "private", "passphrase", "key_path"} // words of messages, which a file may contain too
	for _, line := range append(strings.Fields(string(key)), string(passphrase)) {
		if len(line) >= 12 && strings.Contains(err.Error(), line) && !containsAny(line, own) {
			t.Fatalf("%q is in: %v", line, err)
		}
	}
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
