package statestore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Memory is a store without a file. Its state ends with the process. Use it for tests, and where no state is wanted after a restart.
// Make one with NewMemory.
type Memory struct {
	mu     sync.Mutex
	closed bool
	data   *memoryData
}

type memoryData struct {
	meta      record.Meta
	instances map[record.ID]*record.Instance
	intents   map[uint64]record.Intent
	secrets   map[record.ID][]byte
}

var _ Store = (*Memory)(nil)

// Format names the store, whatever the verb: it shows no secret.
func (m *Memory) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "store in memory") }

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{data: &memoryData{
		instances: make(map[record.ID]*record.Instance),
		intents:   make(map[uint64]record.Intent),
		secrets:   make(map[record.ID][]byte),
	}}
}

// Reopen returns a store with the same state, as after a restart. It closes m: if m is still open, its owner counts as crashed.
func (m *Memory) Reopen() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return &Memory{data: m.data}
}

// Open reports whether the store is open: neither Close nor Reopen was called.
func (m *Memory) Open() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.closed
}

// Load implements Store.
func (m *Memory) Load(ctx context.Context) (Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Snapshot{}, err
	}
	d := m.data
	s := Snapshot{State: record.Saved{Meta: d.meta}, Secrets: make(map[record.ID][]byte, len(d.secrets))}
	for _, id := range slices.Sorted(maps.Keys(d.instances)) {
		rec := *d.instances[id]
		rec.Leases = append([]record.Lease(nil), rec.Leases...)
		s.State.Instances = append(s.State.Instances, rec)
	}
	s.State.Intents = slices.SortedFunc(maps.Values(d.intents), func(a, b record.Intent) int { return cmp.Compare(a.Op, b.Op) })
	for id, value := range d.secrets {
		s.Secrets[id] = bytes.Clone(value)
	}
	return s, nil
}

// Commit implements Store.
func (m *Memory) Commit(ctx context.Context, c Commit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	if c.Changes != nil {
		for i := range c.Changes.Put {
			if err := checkInstance(&c.Changes.Put[i]); err != nil {
				return err
			}
		}
		m.data.apply(c.Changes)
	}
	for i := range c.Secrets {
		m.data.keep(&c.Secrets[i])
	}
	return nil
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

func (d *memoryData) apply(c *record.Changes) {
	for i := range c.Put {
		d.put(&c.Put[i])
	}
	for _, id := range c.Drop {
		delete(d.instances, id)
		delete(d.secrets, id)
	}
	for _, in := range c.PutIntents {
		d.intents[in.Op] = in
	}
	for _, op := range c.DropIntents {
		delete(d.intents, op)
	}
	if c.Meta != nil {
		d.meta = *c.Meta
	}
}

// put copies r over the stored record. It reuses the memory of the record and its leases.
func (d *memoryData) put(r *record.Instance) {
	rec := d.instances[r.ID]
	if rec == nil {
		rec = new(record.Instance)
		d.instances[r.ID] = rec
	}
	leases := append(rec.Leases[:0], r.Leases...)
	*rec = *r
	rec.Leases = leases
	if !keepsSecret(r.State) {
		delete(d.secrets, r.ID)
	}
}

func (d *memoryData) keep(s *Secret) {
	rec := d.instances[s.ID]
	if rec == nil || !keepsSecret(rec.State) || len(s.Value) == 0 {
		delete(d.secrets, s.ID)
		return
	}
	d.secrets[s.ID] = bytes.Clone(s.Value)
}
