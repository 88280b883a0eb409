// Package controltest has a manager in memory, for tests of code that uses the control API. It leases slots of invented instances, and
// records the calls that it received.
package controltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Manager implements control.Manager and control.Runner: it is its own only runner. Each slot is on a separate instance.
type Manager struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	slots    int
	leases   map[string]*lease
	reasons  map[string]string // by key: what its release said in words
	waiting  []string
	calls    []string
	denials  []error // the next calls of Acquire return these, one each
	unknown  []error // the next calls of Connect return these, one each
	draining bool
	ousted   error // waiters get it
	granted  int
	notReady error
}

var (
	_ control.Manager = (*Manager)(nil)
	_ control.Runner  = (*Manager)(nil)
)

// New returns a manager with this many slots.
func New(slots int) *Manager {
	return &Manager{slots: slots, leases: map[string]*lease{}, reasons: map[string]string{}, changed: make(chan struct{})}
}

// lease is a slot that a caller holds.
type lease struct {
	m     *Manager
	data  control.Lease
	ended chan struct{}
	last  control.Event
}

func (h *lease) Lease() control.Lease      { return h.data }
func (h *lease) Ended() <-chan struct{}    { return h.ended }
func (h *lease) Last() control.Event       { return h.last }
func (h *lease) finish(last control.Event) { h.last = last; close(h.ended) }
func (h *lease) Connect(context.Context) (provider.ConnectInfo, error) {
	defer h.m.asked("connect %s", h.data.Key)()
	if len(h.m.unknown) > 0 {
		err := h.m.unknown[0]
		h.m.unknown = h.m.unknown[1:]
		return provider.ConnectInfo{}, err
	}
	return provider.ConnectInfo{ID: h.data.Instance, InternalAddr: "127.0.0.1:1"}, nil
}

func (m *Manager) note(format string, args ...any) {
	m.calls = append(m.calls, fmt.Sprintf(format, args...))
	close(m.changed)
	m.changed = make(chan struct{})
}

// asked locks the manager and records a call. The caller must defer the returned function, which unlocks it.
func (m *Manager) asked(format string, args ...any) (unlock func()) {
	m.mu.Lock()
	m.note(format, args...)
	return m.mu.Unlock
}

// pause unlocks the manager until something changes or ctx ends, then locks it again. It reports whether ctx has not ended.
func (m *Manager) pause(ctx context.Context) bool {
	changed := m.changed
	m.mu.Unlock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	m.mu.Lock()
	return ctx.Err() == nil
}

// Calls returns the calls so far, as "acquire KEY", "granted KEY", "reattach KEY", "release KEY [unreachable]", "detach KEY".
func (m *Manager) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// Await waits until call was received n times.
func (m *Manager) Await(ctx context.Context, call string, n int) error {
	for {
		m.mu.Lock()
		got, changed := 0, m.changed
		for _, c := range m.calls {
			if c == call {
				got++
			}
		}
		calls := slices.Clone(m.calls)
		m.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%q was received %d times, not %d; the calls are %q: %w", call, got, n, calls, ctx.Err())
		}
	}
}

// AddSlots adds n slots; a negative n removes slots.
func (m *Manager) AddSlots(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slots += n
	m.note("slots %+d", n)
}

// Deny makes the next calls of Acquire fail with these errors, one each.
func (m *Manager) Deny(errs ...error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.denials = append(m.denials, errs...)
}

// HideConnectInfo makes the next requests for connect info fail with these errors, one each.
func (m *Manager) HideConnectInfo(errs ...error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unknown = append(m.unknown, errs...)
}

// NotReady sets the error that Ready returns.
func (m *Manager) NotReady(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notReady = err
}

// Revoke ends the lease of key.
func (m *Manager) Revoke(key, cause string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.leases[key]; h != nil {
		delete(m.leases, key)
		h.finish(control.Event{Revoked: &control.Revoked{Instance: h.data.Instance, Cause: cause, Sentence: "it is " + cause}})
		m.note("revoked %s", key)
	}
}

// Successor returns a manager with the leases of m, as after a restart. Later calls of m do not change it.
func (m *Manager) Successor() *Manager {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := New(m.slots)
	next.granted = m.granted
	for key, h := range m.leases {
		next.leases[key] = &lease{m: next, data: h.data, ended: make(chan struct{})}
	}
	return next
}

// Acquire implements control.Runner.
func (m *Manager) Acquire(ctx context.Context, key string) (control.LiveLease, error) {
	defer m.asked("acquire %s", key)()
	if len(m.denials) > 0 {
		err := m.denials[0]
		m.denials = m.denials[1:]
		return nil, err
	}
	if m.draining {
		return nil, control.Errorf(control.CodeDraining, "draining")
	}
	if m.leases[key] != nil || slices.Contains(m.waiting, key) {
		return nil, control.Errorf(control.CodeDuplicateKey, "key %q is taken", key)
	}
	m.waiting = append(m.waiting, key)
	defer func() { m.waiting = slices.DeleteFunc(m.waiting, func(k string) bool { return k == key }) }()
	for len(m.leases) >= m.slots || m.waiting[0] != key {
		if m.ousted != nil {
			return nil, m.ousted
		}
		if !m.pause(ctx) {
			m.note("gave up %s", key)
			return nil, context.Cause(ctx)
		}
	}
	m.granted++
	h := &lease{m: m, ended: make(chan struct{}), data: control.Lease{Key: key, Instance: fmt.Sprintf("i-%d", m.granted), Slot: 0, Use: 1}}
	m.leases[key] = h
	m.note("granted %s", key)
	return h, nil
}

// Reserve implements control.Runner. It reserves only slots that are free now.
func (m *Manager) Reserve(_ context.Context, key string) error {
	defer m.asked("reserve %s", key)()
	if len(m.leases) >= m.slots {
		return control.Errorf(control.CodeNoCapacity, "no slot is free")
	}
	return nil
}

// Unreserve implements control.Runner.
func (m *Manager) Unreserve(key string) {
	m.asked("unreserve %s", key)()
}

// Reattach implements control.Runner.
func (m *Manager) Reattach(_ context.Context, key string) (control.LiveLease, error) {
	defer m.asked("reattach %s", key)()
	if h := m.leases[key]; h != nil {
		return h, nil
	}
	return nil, control.Errorf(control.CodeUnknownKey, "no lease under %q", key)
}

// Holds implements control.Runner.
func (m *Manager) Holds(_ context.Context, key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leases[key] != nil
}

// Release implements control.Runner.
func (m *Manager) Release(_ context.Context, key string) error { return m.release(key, "") }

func (h *lease) Release(_ context.Context, found control.Unhealthy, reason string) error {
	h.m.mu.Lock()
	current := h.m.leases[h.data.Key]
	h.m.reasons[h.data.Key] = reason
	h.m.mu.Unlock()
	if current != h {
		return control.Errorf(control.CodeUnknownKey, "this lease of %q has ended", h.data.Key)
	}
	return h.m.release(h.data.Key, found)
}

// Reason returns what the release of key's lease said in words.
func (m *Manager) Reason(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reasons[key]
}

func (m *Manager) release(key string, unhealthy control.Unhealthy) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.leases[key]
	if h == nil {
		m.note("release of nothing %s", key)
		return control.Errorf(control.CodeUnknownKey, "no lease under %q", key)
	}
	delete(m.leases, key)
	h.finish(control.Event{Released: true})
	if unhealthy != "" {
		m.note("release %s %s", key, unhealthy)
	} else {
		m.note("release %s", key)
	}
	return nil
}

// Detach implements control.Runner.
func (m *Manager) Detach(key string) {
	m.asked("detach %s", key)()
}

// Waiting implements control.Runner.
func (m *Manager) Waiting(_ context.Context, key string) (control.Wait, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.Index(m.waiting, key)
	if at < 0 {
		return control.Wait{}, false
	}
	return control.Wait{Position: at + 1, Cause: "boot", Sentence: "waiting for an instance to boot"}, true
}

// Runner implements control.Manager. The only runner has the name "one".
func (m *Manager) Runner(selector string) (control.Runner, error) {
	if selector != "" && selector != "one" {
		return nil, control.Errorf(control.CodeUnknownRunner, "no runner %q", selector)
	}
	return m, nil
}

// RefuseWaiters drains, and makes the callers that wait for a slot, and those that come until the drain ends, get err.
func (m *Manager) RefuseWaiters(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining, m.ousted = true, err
	m.note("drain")
}

// Reopened implements control.Runner.
func (m *Manager) Reopened(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note("held")
	for m.draining {
		if !m.pause(ctx) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// Status implements control.Manager.
func (m *Manager) Status(_ context.Context, selector string, instances int) (control.Status, error) {
	if _, err := m.Runner(selector); err != nil {
		return control.Status{}, err
	}
	if instances != math.MaxInt {
		m.mu.Lock()
		m.note("status of %d", instances)
		m.mu.Unlock()
	}
	return control.Status{Manager: m.Info(), Runners: []control.RunnerStatus{{Name: "one", Position: 1, Identity: "one"}}}, nil
}

// Drain implements control.Manager.
func (m *Manager) Drain(ctx context.Context, selector string) error {
	if _, err := m.Runner(selector); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining = true
	m.note("drain")
	for len(m.leases) > 0 {
		if !m.pause(ctx) {
			return context.Cause(ctx)
		}
		if !m.draining {
			return control.Errorf(control.CodeUndrained, "the drain was undone")
		}
	}
	return nil
}

// Undrain implements control.Manager.
func (m *Manager) Undrain(_ context.Context, selector string) error {
	if _, err := m.Runner(selector); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining, m.ousted = false, nil
	m.note("undrain")
	return nil
}

// Ready implements control.Manager.
func (m *Manager) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notReady
}

// Info implements control.Manager.
func (m *Manager) Info() control.ManagerInfo {
	return control.ManagerInfo{PID: 42, Version: "test", Started: time.Unix(1, 0).UTC(), Config: "/etc/config.toml"}
}

// ErrBroken is an error without a code.
var ErrBroken = errors.New("it is broken")
