package agekeys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/agekeys"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// identities makes the text of n identity files, each with one identity.
func identities(t testing.TB, n int) (texts []string) {
	t.Helper()
	for range n {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, "# public key: "+id.Recipient().String()+"\n"+id.String()+"\n")
	}
	return texts
}

func parse(t testing.TB, texts ...string) *agekeys.Keys {
	t.Helper()
	k, err := agekeys.Parse("the test", []byte(strings.Join(texts, "")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t testing.TB, dir string, o statestore.BoltOptions) *statestore.Bolt {
	t.Helper()
	b, err := statestore.OpenBolt(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestEncryptedBoltConforms(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Subject {
		dir, keys := t.TempDir()+"/group", parse(t, identities(t, 1)...)
		return storetest.Subject{
			Open: func() (statestore.Store, error) {
				return statestore.OpenBolt(dir, statestore.BoltOptions{Keyring: keys})
			},
			File: dir + "/state.db",
		}
	})
}

const (
	secret = "hunter2-hunter2"
	lease  = "key-of-a-job"
)

// fill commits a state whose secret and lease can be looked for in the file.
func fill(t *testing.T, b *statestore.Bolt) {
	t.Helper()
	for _, c := range append(storetest.Sample(6, 3), statestore.Commit{
		Changes: &record.Changes{Put: []record.Instance{{ID: "i-look", State: record.Ready, Leases: []record.Lease{{Key: lease}}}}},
		Secrets: []statestore.Secret{{ID: "i-look", Value: []byte(secret)}},
	}) {
		if err := b.Commit(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// has reports whether the raw file has this text.
func has(t *testing.T, dir, text string) bool {
	t.Helper()
	raw, err := os.ReadFile(dir + "/state.db")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(raw, []byte(text))
}

// TestLifeOfTheKey: encryption is turned on for a plain state, the key is changed, and it is turned off. After each start, what the file holds
// is what it should, and nothing of it is lost.
func TestLifeOfTheKey(t *testing.T) {
	dir, ids := t.TempDir()+"/group", identities(t, 2)
	b := open(t, dir, statestore.BoltOptions{})
	fill(t, b)
	want, err := b.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	var wrappings []string
	for _, step := range []struct {
		name  string
		opts  statestore.BoltOptions
		plain bool
	}{
		{"as it was", statestore.BoltOptions{}, true},
		{"turned on", statestore.BoltOptions{Keyring: parse(t, ids[0])}, false},
		{"as before", statestore.BoltOptions{Keyring: parse(t, ids[0])}, false},
		{"a new key above the old one", statestore.BoltOptions{Keyring: parse(t, ids[1], ids[0])}, false},
		{"the new key alone", statestore.BoltOptions{Keyring: parse(t, ids[1])}, false},
		{"turned off", statestore.BoltOptions{Keyring: parse(t, ids[1]), Plain: true}, true},
		{"without a key", statestore.BoltOptions{}, true},
	} {
		b := open(t, dir, step.opts)
		if has(t, dir, secret) != step.plain || has(t, dir, lease) != step.plain {
			t.Errorf("%s: the secret is in the file: %v; the lease: %v", step.name, has(t, dir, secret), has(t, dir, lease))
		}
		loaded, err := b.Load(context.Background())
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		m := storetest.Model{State: want.State, Secrets: want.Secrets}
		if d := m.Differs(loaded); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
		same := statestore.Commit{Secrets: []statestore.Secret{{ID: "i-look", Value: []byte(secret)}}}
		if err := b.Commit(context.Background(), same); err != nil || b.Stats().Records != 0 {
			t.Errorf("%s: an equal record was written again: %+v, %v", step.name, b.Stats(), err)
		}
		_ = b.Close()
		raw, _ := os.ReadFile(dir + "/state.db")
		wrappings = append(wrappings, fmt.Sprint(bytes.Count(raw, []byte("age-encryption.org/v1"))))
	}
	if got := strings.Join(wrappings, " "); got != "0 1 1 1 1 0 0" {
		t.Errorf("the file had so many wrapped keys after each start: %s", got)
	}
}

// TestWrongKey: a state that no key opens is refused and not modified.
func TestWrongKey(t *testing.T) {
	dir, ids := t.TempDir()+"/group", identities(t, 2)
	b := open(t, dir, statestore.BoltOptions{Keyring: parse(t, ids[0])})
	fill(t, b)
	_ = b.Close()
	before, err := os.ReadFile(dir + "/state.db")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		opts statestore.BoltOptions
		want string
	}{
		"none":                {statestore.BoltOptions{}, "no key is configured"},
		"another":             {statestore.BoltOptions{Keyring: parse(t, ids[1])}, "the test has only the keys of age1"},
		"another, turned off": {statestore.BoltOptions{Keyring: parse(t, ids[1]), Plain: true}, "no configured key opens it"},
	} {
		_, err := statestore.OpenBolt(dir, c.opts)
		var key *statestore.KeyError
		if !errors.As(err, &key) || key.Path != dir+"/state.db" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY") {
			t.Errorf("%s: a key is in the message", name)
		}
	}
	after, err := os.ReadFile(dir + "/state.db")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was modified (%v)", err)
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
	_ = open(t, dir, statestore.BoltOptions{Keyring: parse(t, ids[0])}).Close()
}

func TestKeyFiles(t *testing.T) {
	dir, id := t.TempDir(), identities(t, 1)[0]
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys, err := agekeys.Load(write("good", id, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, keys); strings.Contains(text, "SECRET") || !strings.Contains(text, "age1") {
			t.Errorf(verb+" prints %s", keys, text)
		}
	}
	for path, want := range map[string]string{
		write("group", id, 0o640):                            "chmod 600",
		write("empty", "", 0o600):                            "age-keygen",
		write("words", "correct horse battery\n", 0o600):     "age-keygen",
		write("large", strings.Repeat("#\n", 40<<10), 0o600): "is larger than",
		dir:             "not a regular file",
		dir + "/absent": "no such file",
	} {
		if _, err := agekeys.Load(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "battery") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	if _, err := agekeys.LoadCredential("good", getenv); err == nil || !strings.Contains(err.Error(), "LoadCredential=good:") {
		t.Errorf("without systemd: %v", err)
	}
	env["CREDENTIALS_DIRECTORY"] = dir
	write("good", id, 0o440) // as systemd makes it, for a unit with User=
	if _, err := agekeys.LoadCredential("good", getenv); err != nil {
		t.Errorf("a credential: %v", err)
	}
}

// TestSecurityKeyFileOfAnotherUser needs root.
func TestSecurityKeyFileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a file to another user")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := errors.Join(os.WriteFile(path, []byte(identities(t, 1)[0]), 0o600), os.Chown(path, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := agekeys.Load(path); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Error(err)
	}
}
