package connector_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

const passphrase = "open sesame"

// lockedKey returns a key pair that ssh-keygen made: the encrypted private key, and its line for authorized_keys.
func lockedKey(t *testing.T, args ...string) (private, public []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	args = append(args, "-q", "-N", passphrase, "-f", path)
	if out, err := exec.Command(program(t, "ssh-keygen", "openssh-client"), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	private, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if public, err = os.ReadFile(path + ".pub"); err != nil {
		t.Fatal(err)
	}
	return private, public
}

// TestKeyWithManyRounds: a key whose passphrase takes too long to check, in a damaged file for years, is refused at once.
func TestKeyWithManyRounds(t *testing.T) {
	locked, _ := lockedKey(t, "-t", "ed25519", "-a", "2")
	block, _ := pem.Decode(locked)
	at := bytes.Index(block.Bytes, []byte{0, 0, 0, 2, 0, 0, 0, 1}) // the rounds, and the number of keys
	if at < 0 {
		t.Fatal("the form of the key is not known")
	}
	if _, err := connector.DecryptKey(locked, []byte(passphrase)); err != nil {
		t.Fatal(err)
	}
	copy(block.Bytes[at:], []byte{0x7f, 0xff, 0xff, 0xff})
	_, err := connector.DecryptKey(pem.EncodeToMemory(block), []byte(passphrase))
	wantKeyError(t, err, "needs 2147483647 rounds")
}

// TestSshdEncryptedKey: an encrypted key of each type and form logs in once it is decrypted, and a wrong passphrase is named as such.
func TestSshdEncryptedKey(t *testing.T) {
	s := startSSHD(t)
	for name, args := range map[string][]string{
		"ed25519": {"-t", "ed25519"}, "ecdsa": {"-t", "ecdsa", "-b", "384"}, "rsa": {"-t", "rsa", "-b", "2048"},
		"rsa in the older form": {"-t", "rsa", "-b", "2048", "-m", "PEM"}, "aes256-cbc": {"-t", "ed25519", "-Z", "aes256-cbc"},
	} {
		t.Run(name, func(t *testing.T) {
			locked, public := lockedKey(t, args...)
			write(t, s.dir+"/authorized_keys", public)
			key, err := connector.DecryptKey(locked, []byte(passphrase))
			if err != nil {
				t.Fatal(err)
			}
			if again, err := connector.DecryptKey(locked, []byte(passphrase)); err != nil || !bytes.Equal(again, key) {
				t.Errorf("decrypted again, the key differs: %v", err)
			}
			s.info.Key = key
			if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{}), connector.RunOptions{Command: "true"}); err != nil {
				t.Error(err)
			}
			for wrong, want := range map[string]string{"hunter2": "passphrase is wrong", "": "set key_passphrase_path"} {
				_, err := connector.DecryptKey(locked, []byte(wrong))
				wantKeyError(t, err, want)
			}
			s.info.Key = locked
			_, err = connector.Dial(t.Context(), s.info, quick(connector.DialOptions{}))
			wantKeyError(t, err, "set key_passphrase_path")
		})
	}
}

// wantKeyError checks the words of a KeyError, and that no secret is among them.
func wantKeyError(t *testing.T, err error, want string) {
	t.Helper()
	var bad *connector.KeyError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "BEGIN") {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestKeyThatNeedsNoPassphrase(t *testing.T) {
	open, _ := newKey(t)
	for _, key := range [][]byte{open, []byte("no key at all"), nil} {
		if got, err := connector.DecryptKey(key, []byte(passphrase)); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%q became %q, %v", key, got, err)
		}
	}
}

// TestKeyThatCannotBeDecrypted: the form or the cipher is not supported. No error quotes the file.
func TestKeyThatCannotBeDecrypted(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"PKCS#8":         {[]string{"-t", "ecdsa", "-m", "PKCS8"}, "ssh-keygen -p -f"},
		"another cipher": {[]string{"-t", "ed25519", "-Z", "aes128-ctr"}, "cipher is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			locked, _ := lockedKey(t, c.args...)
			_, err := connector.DecryptKey(locked, []byte(passphrase))
			wantKeyError(t, err, c.want)
		})
	}
}
