package plugin_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestKey(t *testing.T) {
	for comment, want := range map[string]string{"": "", "i-1": "i-1", " two words\n": "two words", "a\nssh-ed25519 AAAA": "a ssh-ed25519 AAAA"} {
		key, err := plugin.NewKey(comment)
		if err != nil {
			t.Fatal(err)
		}
		public, note, options, rest, err := ssh.ParseAuthorizedKey([]byte(key.Public))
		if err != nil || note != want || len(options)+len(rest) > 0 || strings.Contains(key.Public, "\n") || strings.TrimSpace(key.Public) != key.Public {
			t.Errorf("the public half %q: %v", key.Public, err)
		}
		signer, err := ssh.ParsePrivateKey([]byte(key.Private.Reveal()))
		if err != nil || signer.PublicKey().Type() != ssh.KeyAlgoED25519 || !bytes.Equal(signer.PublicKey().Marshal(), public.Marshal()) {
			t.Fatalf("the private half does not belong to the public one: %v", err)
		}
		if block, rest := pem.Decode([]byte(key.Private.Reveal())); block == nil || block.Type != "OPENSSH PRIVATE KEY" || len(rest) > 0 {
			t.Error("the private half is not in OpenSSH's form")
		}
		if text := fmt.Sprintf("%v %+v %#v", key, key, key); strings.Contains(text, "PRIVATE") {
			t.Errorf("it prints as %s", text)
		}
	}
	a, errA := plugin.NewKey("x")
	b, errB := plugin.NewKey("x")
	if errA != nil || errB != nil || a.Public == b.Public || a.Private.Equal(b.Private) {
		t.Error("two keys are the same")
	}
}

// TestKeyLeavesTheOperatorsCredentials: what the operator set wins.
func TestKeyLeavesTheOperatorsCredentials(t *testing.T) {
	key, err := plugin.NewKey("i-1")
	if err != nil {
		t.Fatal(err)
	}
	var c provider.ConnectorConfig
	if !key.Use(&c) || string(c.Key) != key.Private.Reveal() {
		t.Error("the key is not used")
	}
	for name, c := range map[string]provider.ConnectorConfig{
		"password": {Password: "p"}, "key": {Key: []byte("k")}, "static": {UseStaticCredentials: true},
	} {
		before := string(c.Key)
		if key.Use(&c) || string(c.Key) != before {
			t.Errorf("%s: the operator's credentials were replaced", name)
		}
	}
	if (plugin.Key{}).Use(&provider.ConnectorConfig{}) {
		t.Error("an empty key is used")
	}
}

// TestKeyFor: the operator's key goes to the machine by its public half, a login of the image needs none, and else there is a new one.
func TestKeyFor(t *testing.T) {
	operators, err := plugin.NewKey("ops@example.com")
	if err != nil {
		t.Fatal(err)
	}
	private := []byte(operators.Private.Reveal())
	for _, static := range []bool{false, true} {
		got, err := plugin.KeyFor(provider.ConnectorConfig{Key: private, UseStaticCredentials: static}, "ops@example.com")
		if err != nil || got.Public != operators.Public || got.Private.Reveal() != string(private) {
			t.Errorf("the operator's key became %v, %v", got, err)
		}
	}
	for _, c := range []provider.ConnectorConfig{{Password: "p"}, {UseStaticCredentials: true}} {
		if got, err := plugin.KeyFor(c, "i-1"); err != nil || got.Public != "" || !got.Private.Empty() {
			t.Errorf("%v has the key %v, %v", c, got, err)
		}
	}
	if got, err := plugin.KeyFor(provider.ConnectorConfig{}, "i-1"); err != nil || !strings.HasSuffix(got.Public, " i-1") || got.Public == operators.Public {
		t.Errorf("a new key is %v, %v", got, err)
	}
	_, err = plugin.KeyFor(provider.ConnectorConfig{Key: []byte("-----BEGIN NONSENSE-----")}, "i-1")
	if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "key_path") {
		t.Errorf("a key that is none: %v", err)
	}
}

// TestKeyIn: the key of a group is the same after a restart, for two processes at once too, and nobody else can read it.
func TestKeyIn(t *testing.T) {
	dir := t.TempDir()
	keys := make([]plugin.Key, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = plugin.KeyIn(dir, provider.ConnectorConfig{}, "group"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, k := range keys {
		if k.Public != keys[0].Public || !k.Private.Equal(keys[0].Private) || k.Private.Empty() {
			t.Errorf("two callers have different keys: %v and %v", k, keys[0])
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, c := range []provider.ConnectorConfig{{Password: "p"}, {UseStaticCredentials: true}} {
		if got, err := plugin.KeyIn(dir, c, "group"); err != nil || !got.Private.Empty() {
			t.Errorf("%v has a key: %v", c, err)
		}
	}
	if got, err := plugin.KeyIn("", provider.ConnectorConfig{}, "group"); err != nil || got.Private.Empty() || got.Public == keys[0].Public {
		t.Errorf("without a folder: %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, files[0].Name()), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := plugin.KeyIn(dir, provider.ConnectorConfig{}, "group"); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), files[0].Name()) {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := plugin.KeyIn(filepath.Join(dir, "missing"), provider.ConnectorConfig{}, "group"); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("no folder: %v", err)
	}
}

// BenchmarkNewKey: a key must not delay a job.
func BenchmarkNewKey(b *testing.B) {
	for b.Loop() {
		if _, err := plugin.NewKey("i-1"); err != nil {
			b.Fatal(err)
		}
	}
}
