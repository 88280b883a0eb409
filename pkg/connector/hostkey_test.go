package connector

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestHostKeyOfOneClient: the key of the first login binds the later connections of the client, whatever let it in. A key that was only seen
// before a refused login does not.
func TestHostKeyOfOneClient(t *testing.T) {
	hostKey := func() ssh.PublicKey {
		t.Helper()
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	image, own, another := hostKey(), hostKey(), hostKey()
	for name, opts := range map[string]DialOptions{
		"insecure": {Insecure: true}, "pinned at first sight": {PinHostKey: func(string) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := newHostKeys("192.0.2.1:22", nil, opts)
			if err != nil {
				t.Fatal(err)
			}
			h.begin()
			if err := h.check("", nil, image); err != nil {
				t.Errorf("the first key: %v", err)
			}
			h.begin() // its login was refused
			if err := h.check("", nil, own); err != nil {
				t.Errorf("another key after a refused login: %v", err)
			}
			h.settle()
			h.begin()
			if err := h.check("", nil, own); err != nil {
				t.Errorf("the same key: %v", err)
			}
			h.settle()
			h.begin()
			var changed *HostKeyError
			if err := h.check("", nil, another); !errors.As(err, &changed) || !slices.Equal(changed.Pinned, []string{fingerprint(own)}) {
				t.Errorf("a key that changed after a login: %v", err)
			}
		})
	}
}
