// Package outsider is a module of its own that uses taskscaler as any embedder can: by its public names only. It keeps the state in a store of
// its own, runs jobs on a manager that is set up from a config.toml, survives a restart, and simulates the same configuration.
package outsider

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// fileStore keeps the whole state in one gob file, which each commit replaces.
type fileStore struct {
	path   string
	mu     sync.Mutex
	closed bool
}

type image struct {
	State   record.Saved
	Secrets map[record.ID][]byte
}

var _ statestore.Store = (*fileStore)(nil)

func (s *fileStore) read() (image, error) {
	img := image{Secrets: map[record.ID][]byte{}}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return img, nil
	}
	if err != nil {
		return img, err
	}
	return img, gob.NewDecoder(bytes.NewReader(text)).Decode(&img)
}

func (s *fileStore) Load(ctx context.Context) (statestore.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return statestore.Snapshot{}, err
	}
	if s.closed {
		return statestore.Snapshot{}, statestore.ErrClosed
	}
	img, err := s.read()
	return statestore.Snapshot{State: img.State, Secrets: img.Secrets}, err
}

func (s *fileStore) Commit(ctx context.Context, c statestore.Commit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return statestore.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	img, err := s.read()
	if err != nil {
		return &statestore.PermanentError{Err: err}
	}
	if c.Changes != nil {
		for _, r := range c.Changes.Put {
			if r.State < record.Creating || r.State > record.Unclaimed {
				return &statestore.PermanentError{Err: fmt.Errorf("the record of %s has no state", r.ID)}
			}
		}
		img.State.Apply(c.Changes)
		for _, r := range c.Changes.Put {
			if r.State == record.Gone {
				delete(img.Secrets, r.ID)
			}
		}
		for _, id := range c.Changes.Drop {
			delete(img.Secrets, id)
		}
	}
	kept := map[record.ID]bool{}
	for _, r := range img.State.Instances {
		kept[r.ID] = r.State != record.Gone
	}
	for _, secret := range c.Secrets {
		delete(img.Secrets, secret.ID)
		if kept[secret.ID] && len(secret.Value) > 0 {
			img.Secrets[secret.ID] = bytes.Clone(secret.Value)
		}
	}
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(img); err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".new", text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(s.path+".new", s.path)
}

func (s *fileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
