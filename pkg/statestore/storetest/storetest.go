// Package storetest tests implementations of statestore.Store. [Run] runs the suite; the example shows how.
//
// The reference is record.Saved.Apply: after any commits a store must hold what [Model] holds. A store with a file is also tested with
// damaged files: it must refuse each of them, or load what was committed.
package storetest

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// Subject is one place that keeps a state. It is empty at first.
type Subject struct {
	Open func() (statestore.Store, error) // opens the store; called again after a Close, or after a crash without one
	File string                           // the file of the store; empty: it has no file, and the tests of damage and locks are skipped
}

// Run runs the suite in subtests of t. Each call of factory returns a new place.
func Run(t *testing.T, factory func(t testing.TB) Subject) {
	t.Run("empty", func(t *testing.T) { testEmpty(t, factory(t)) })
	t.Run("apply", func(t *testing.T) { testApply(t, factory) })
	t.Run("reopen", func(t *testing.T) { testReopen(t, factory(t)) })
	t.Run("twice is once", func(t *testing.T) { testTwice(t, factory(t)) })
	t.Run("secrets", func(t *testing.T) { testSecrets(t, factory(t)) })
	t.Run("odd values", func(t *testing.T) { testOdd(t, factory(t)) })
	t.Run("all or nothing", func(t *testing.T) { testAtomic(t, factory(t)) })
	t.Run("no shared memory", func(t *testing.T) { testShared(t, factory(t)) })
	t.Run("closed", func(t *testing.T) { testClosed(t, factory(t)) })
	t.Run("context", func(t *testing.T) { testContext(t, factory(t)) })
	if factory(t).File == "" {
		return
	}
	t.Run("lock", func(t *testing.T) { testLock(t, factory(t)) })
	t.Run("damage", func(t *testing.T) { testDamage(t, factory) })
}

// Model is the reference: the state that a store must hold after a number of commits. The zero value is the empty state.
type Model struct {
	State   record.Saved
	Secrets map[record.ID][]byte
}

// Apply applies c to m.
func (m *Model) Apply(c statestore.Commit) {
	if m.Secrets == nil {
		m.Secrets = make(map[record.ID][]byte)
	}
	if c.Changes != nil {
		m.State.Apply(c.Changes)
		for _, r := range c.Changes.Put {
			if r.State == record.Gone {
				delete(m.Secrets, r.ID)
			}
		}
	}
	for _, s := range c.Secrets {
		m.Secrets[s.ID] = slices.Clone(s.Value)
	}
	kept := make(map[record.ID]bool)
	for _, r := range m.State.Instances {
		kept[r.ID] = r.State != record.Gone
	}
	maps.DeleteFunc(m.Secrets, func(id record.ID, value []byte) bool { return !kept[id] || len(value) == 0 })
}

// Clone returns a copy that shares no memory with m.
func (m *Model) Clone() Model {
	var c Model
	c.State.Apply(&record.Changes{Put: m.State.Instances, PutIntents: m.State.Intents, Meta: &m.State.Meta})
	c.Secrets = make(map[record.ID][]byte, len(m.Secrets))
	for id, value := range m.Secrets {
		c.Secrets[id] = slices.Clone(value)
	}
	return c
}

// Differs returns how a snapshot differs from the model. It returns "" if they are equal.
func (m *Model) Differs(s statestore.Snapshot) string {
	switch {
	case m.State.Meta != s.State.Meta:
		return diff("group record", m.State.Meta, s.State.Meta)
	case !slices.Equal(m.State.Intents, s.State.Intents):
		return diff("intents", m.State.Intents, s.State.Intents)
	case !slices.EqualFunc(m.State.Instances, s.State.Instances, sameInstance):
		return diff("instances", m.State.Instances, s.State.Instances)
	case s.Secrets == nil:
		return "the map of secrets is nil"
	case !maps.EqualFunc(m.Secrets, s.Secrets, slices.Equal[[]byte]):
		return diff("secrets", m.Secrets, s.Secrets)
	}
	return ""
}

func (m *Model) check(t testing.TB, store statestore.Store) {
	t.Helper()
	s, err := store.Load(context.Background())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if d := m.Differs(s); d != "" {
		t.Fatalf("the store does not hold what was committed: %s", d)
	}
}

func (m *Model) commit(t testing.TB, store statestore.Store, c statestore.Commit) {
	t.Helper()
	if err := store.Commit(context.Background(), c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	m.Apply(c)
}

func open(t testing.TB, s Subject) statestore.Store {
	t.Helper()
	store, err := s.Open()
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func reopen(t testing.TB, s Subject, store statestore.Store) statestore.Store {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return open(t, s)
}

func testEmpty(t *testing.T, s Subject) {
	store := open(t, s)
	new(Model).check(t, store)
	for range 2 {
		if err := store.Commit(context.Background(), statestore.Commit{}); err != nil {
			t.Fatalf("an empty commit: %v", err)
		}
	}
	store = reopen(t, s, store)
	new(Model).check(t, store)
}

func testReopen(t *testing.T, s Subject) {
	var m Model
	store := open(t, s)
	for _, c := range Sample(20, 7) {
		m.commit(t, store, c)
		store = reopen(t, s, store)
		m.check(t, store)
	}
	m.check(t, store) // a second Load returns the same
}

func testTwice(t *testing.T, s Subject) {
	var m Model
	store := open(t, s)
	for _, c := range Sample(20, 8) {
		m.commit(t, store, c)
		for range 2 {
			if err := store.Commit(context.Background(), c); err != nil {
				t.Fatalf("the same commit again: %v", err)
			}
			m.check(t, store)
		}
	}
	store = reopen(t, s, store)
	m.check(t, store)
}

func testAtomic(t *testing.T, s Subject) {
	var m Model
	store := open(t, s)
	m.commit(t, store, Sample(1, 9)[0])
	bad := statestore.Commit{
		Changes: &record.Changes{
			Put:  []record.Instance{{ID: "good", State: record.Ready}, {ID: "bad"}}, // no state
			Meta: &record.Meta{Group: "other"},
		},
		Secrets: []statestore.Secret{{ID: "good", Value: []byte("x")}},
	}
	if err := store.Commit(context.Background(), bad); !statestore.IsPermanent(err) {
		t.Fatalf("Commit of a record without a state, which could not be loaded again: %v, want a permanent error", err)
	}
	m.check(t, store)
	store = reopen(t, s, store)
	m.check(t, store)
}

func testShared(t *testing.T, s Subject) {
	var m Model
	store := open(t, s)
	c := statestore.Commit{
		Changes: &record.Changes{Put: []record.Instance{{ID: "a", State: record.Ready, Leases: []record.Lease{{Key: "k"}}}}},
		Secrets: []statestore.Secret{{ID: "a", Value: []byte("secret")}},
	}
	m.commit(t, store, c)
	c.Changes.Put[0].Leases[0].Key = "changed"
	c.Secrets[0].Value[0] = 'S'
	m.check(t, store)
	loaded, err := store.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	loaded.State.Instances[0].Leases[0].Key = "changed"
	loaded.Secrets["a"][0] = 'S'
	m.check(t, store)
}

func testClosed(t *testing.T, s Subject) {
	store := open(t, s)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := store.Load(context.Background()); !errors.Is(err, statestore.ErrClosed) {
		t.Errorf("Load after Close: %v", err)
	}
	if err := store.Commit(context.Background(), Sample(1, 1)[0]); !errors.Is(err, statestore.ErrClosed) || !statestore.IsPermanent(err) {
		t.Errorf("Commit after Close: %v", err)
	}
}

func testContext(t *testing.T, s Subject) {
	store := open(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := store.Commit(ctx, Sample(1, 1)[0]); !errors.Is(err, context.Canceled) || statestore.IsPermanent(err) {
		t.Errorf("Commit under an ended context: %v", err)
	}
	if _, err := store.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load under an ended context: %v", err)
	}
	new(Model).check(t, store)
}

func testLock(t *testing.T, s Subject) {
	store := open(t, s)
	var locked *statestore.LockedError
	if second, err := s.Open(); !errors.As(err, &locked) {
		t.Fatalf("the second Open: %v, %v", second, err)
	}
	if locked.Owner.PID != os.Getpid() || locked.Owner.Start.IsZero() || locked.Owner.Host == "" {
		t.Errorf("the owner is said to be %+v", locked.Owner)
	}
	var m Model
	for _, c := range Sample(3, 3) { // the first store still works
		m.commit(t, store, c)
	}
	store = reopen(t, s, store)
	m.check(t, store)
}
