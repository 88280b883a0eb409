package agekeys_test

import (
	"bytes"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/taskscaler/taskscaler/pkg/statestore/agekeys"
)

// FuzzParse: any file of identities is an error that shows nothing of it, or keys that open what they have closed, and that do not show themselves. A
// wrapped key of any bytes is an error or a key, and never a panic.
func FuzzParse(f *testing.F) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		f.Fatal(err)
	}
	one, err := agekeys.Parse("x", []byte(id.String()))
	if err != nil {
		f.Fatal(err)
	}
	wrapped, err := one.Wrap([]byte("a key"))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{id.String(), "# comment\n" + id.String() + "\n" + hybrid.String(), strings.ToLower(id.String()), id.String()[:40], "", "AGE-PLUGIN-X-1", "\xff"} {
		f.Add([]byte(text), wrapped)
		f.Add([]byte(text), wrapped[:len(wrapped)/2])
	}
	f.Fuzz(func(t *testing.T, text, sealed []byte) {
		if opened, _, err := one.Unwrap(sealed); err == nil && !bytes.Equal(sealed, wrapped) && len(opened) > len(sealed) {
			t.Fatalf("%d bytes were opened to %d", len(sealed), len(opened))
		}
		keys, err := agekeys.Parse("x", text)
		if err != nil {
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); len(line) > 20 && strings.Contains(err.Error(), line) {
					t.Fatalf("the error shows %q: %v", line, err)
				}
			}
			return
		}
		if strings.Contains(keys.String()+keys.GoString(), "AGE-SECRET-KEY") {
			t.Fatalf("the keys show themselves: %s", keys)
		}
		closed, err := keys.Wrap([]byte("data"))
		if err != nil {
			t.Fatal(err)
		}
		if opened, current, err := keys.Unwrap(closed); err != nil || !current || string(opened) != "data" {
			t.Fatalf("%q, %v, %v", opened, current, err)
		}
	})
}
