package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// keyFile is the private key of a group, in the folder of its state.
const keyFile = "instance-key"

// KeyIn returns one key for all instances of a group, which is the same after a restart: KeyFor, but a new key is written into the folder dir, which is
// Settings.StateDir, and read from there later. Only the user of the process can read it. It is safe to call in two processes at once. If dir is empty, there is
// a new key in each process, with which instances that were made before cannot be reached.
func KeyIn(dir string, c provider.ConnectorConfig, comment string) (Key, error) {
	if dir == "" || len(c.Key) > 0 || c.Password != "" || c.UseStaticCredentials {
		return KeyFor(c, comment)
	}
	path := filepath.Join(dir, keyFile)
	key, err := readKey(path, comment)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = NewKey(comment); err != nil {
		return Key{}, err
	}
	if err := writeKey(path, key); err != nil {
		return Key{}, provider.Errorf(provider.KindConfig, "the key of the instances cannot be written: %w", err)
	}
	return readKey(path, comment) // that of another process, if it was first
}

func readKey(path, comment string) (Key, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return Key{}, err
	}
	key, err := KeyFor(provider.ConnectorConfig{Key: pem}, comment)
	if err != nil {
		return Key{}, provider.Errorf(provider.KindConfig, "%s is no private key: remove it if no instance needs it: %w", path, err)
	}
	return key, nil
}

// writeKey writes the key, unless there is one. The file is whole whenever it exists.
func writeKey(path string, key Key) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".instance-key-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(key.Private.Reveal())
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", tmp.Name(), err)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
