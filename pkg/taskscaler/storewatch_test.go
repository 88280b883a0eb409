package taskscaler

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// watchedStore is a store that can say that a commit would fail.
type watchedStore struct {
	*testStore
	lost atomic.Pointer[statestore.ReplacedError]
}

func newWatchedStore() *watchedStore {
	s := &watchedStore{testStore: newStore()}
	s.set(func(context.Context, statestore.Commit) error { return s.Check() })
	return s
}

// Check implements statestore.Checker.
func (s *watchedStore) Check() error {
	if err := s.lost.Load(); err != nil {
		return err
	}
	return nil
}

// TestIdleManagerNoticesThatItsStoreIsLost: without any commit, and what it offers again when the store is back.
func TestIdleManagerNoticesThatItsStoreIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newWatchedStore()
		f := start(t, withStore(store))
		held := f.acquire("held")
		time.Sleep(time.Minute)
		synctest.Wait()
		commits, increases := store.count(), f.group.count("increase")
		store.lost.Store(&statestore.ReplacedError{Path: "/state.db"})
		time.Sleep(storeCheck + time.Millisecond)
		synctest.Wait()
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "/state.db is gone") {
			t.Errorf("Ready = %v a second later", err)
		}
		if s := f.status(); s.Ready || !s.Commit.Failing || !strings.Contains(s.Commit.Error, "move the same file back") {
			t.Errorf("status = %+v", s.Commit)
		}
		waits := make(chan error, 1)
		go func() {
			_, err := f.Acquire(context.Background(), "job")
			waits <- err
		}()
		time.Sleep(time.Minute)
		select {
		case err := <-waits:
			t.Fatalf("a lease was granted: %v", err)
		default:
		}
		if n := f.group.count("increase") - increases; n != 0 || store.count() != commits {
			t.Errorf("%d creates were sent and %d commits were tried", n, store.count()-commits)
		}
		if held.Err() != nil {
			t.Errorf("a live lease ended: %v", held.Err())
		}
		store.lost.Store(nil)
		if err := <-waits; err != nil {
			t.Errorf("after the store came back: %v", err)
		}
		if err := f.Ready(); err != nil {
			t.Errorf("Ready = %v", err)
		}
		f.end()
	})
}

// TestManagerStopsWhenItsStoreStaysLost: after the same time as for other failures.
func TestManagerStopsWhenItsStoreStaysLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newWatchedStore()
		f := start(t, withStore(store))
		synctest.Wait()
		from := time.Now()
		store.lost.Store(&statestore.ReplacedError{Path: "/state.db", Other: true})
		<-f.Done()
		var stop *StopError
		var lost *statestore.ReplacedError
		if err := f.Err(); !errors.As(err, &stop) || !errors.As(err, &lost) {
			t.Errorf("Err = %v", err)
		}
		if took := time.Since(from); took < commitPatience || took > commitPatience+15*time.Second {
			t.Errorf("it stopped after %v", took)
		}
		_ = f.Shutdown(t.Context())
	})
}
