package taskscaler

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// closedStore records that it was closed.
type closedStore struct {
	*statestore.Memory
	closed bool
}

func (s *closedStore) Close() error {
	s.closed = true
	return s.Memory.Close()
}

// TestNewRefusesNil: New says which argument is nil, and closes the others as after every other error.
func TestNewRefusesNil(t *testing.T) {
	var noGroup *testGroup
	var noStore *statestore.Bolt
	var noLog *slog.Logger
	for name, c := range map[string]struct {
		group provider.InstanceGroup
		opt   Option
		says  string
	}{
		"group":           {nil, nil, "the group is nil"},
		"pointer to none": {noGroup, nil, "the group is nil"},
		"store":           {newGroup(), WithStore(nil), "WithStore"},
		"store to none":   {newGroup(), WithStore(noStore), "WithStore"},
		"logger":          {newGroup(), WithLogger(noLog), "WithLogger"},
		"dialer":          {newGroup(), WithDialer(nil), "WithDialer"},
		"ready function":  {newGroup(), WithReadyFunc(nil), "WithReadyFunc"},
		"observer":        {newGroup(), WithObserver(nil), "WithObserver"},
		"option":          {newGroup(), Option(nil), "an option is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			store := &closedStore{Memory: statestore.NewMemory()}
			opts := []Option{WithStore(store)}
			if name != "group" && name != "pointer to none" {
				opts = append(opts, c.opt)
			}
			m, err := New(t.Context(), c.group, Config{}, opts...)
			if m != nil || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("New = %v, %v; want an error with %q", m, err, c.says)
			}
			if !store.closed {
				t.Error("the store was not closed")
			}
			if g, ok := c.group.(*testGroup); ok && g != nil && (g.count("init") != 0 || g.shut != 1) {
				t.Errorf("the group had %d calls of Init and %d of Shutdown", g.count("init"), g.shut)
			}
		})
	}
}

// TestEndedContext: a call whose context has ended before it begins does nothing, except Release and Shutdown, which only free what is held.
func TestEndedContext(t *testing.T) {
	ended, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the caller has left")
	cancel(why)
	g := newGroup()
	if _, err := New(ended, g, Config{}); !errors.Is(err, why) || g.count("init") != 0 {
		t.Errorf("New = %v after %d calls of Init", err, g.count("init"))
	}
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		lease := f.acquire("job")
		cfg := f.cfg
		cfg.MaxInstances = 9
		for name, call := range map[string]func() error{
			"Reserve":  func() error { return f.Reserve(ended, "another") },
			"Acquire":  func() error { _, err := f.Acquire(ended, "another"); return err },
			"Replace":  func() error { _, err := f.Replace(ended, "job"); return err },
			"Reattach": func() error { _, err := f.Reattach(ended, "job"); return err },
			"Reload":   func() error { return f.Reload(ended, cfg) },
			"Drain":    func() error { return f.Drain(ended) },
			"Undrain":  func() error { return f.Undrain(ended) },
		} {
			if err := call(); !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
				t.Errorf("%s = %v", name, err)
			}
		}
		s := f.status()
		if s.Group.MaxInstances != f.cfg.MaxInstances || s.Counts.Leases != 1 || s.Counts.Waiters != 0 || s.Counts.Reservations != 0 || lease.Err() != nil {
			t.Errorf("a call with an ended context had an effect: %+v, the lease: %v", s.Counts, lease.Err())
		}
		f.acquire("next")
		if err := lease.Release(ended); err != nil {
			t.Errorf("Release = %v", err)
		}
	})
}
