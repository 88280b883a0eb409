package taskscaler

import (
	"context"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// testStore is a memory store whose commits a test can delay or make fail.
type testStore struct {
	*statestore.Memory
	mu      sync.Mutex
	hook    func(ctx context.Context, c statestore.Commit) error
	commits int
}

func newStore() *testStore { return &testStore{Memory: statestore.NewMemory()} }

func (s *testStore) set(hook func(ctx context.Context, c statestore.Commit) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func (s *testStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Commit implements statestore.Store.
func (s *testStore) Commit(ctx context.Context, c statestore.Commit) error {
	s.mu.Lock()
	s.commits++
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, c); err != nil {
			return err
		}
	}
	return s.Memory.Commit(ctx, c)
}
