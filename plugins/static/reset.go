package static

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// A reset command that fails is repeated after resetFirst, then after twice that time, up to resetLast.
const (
	resetFirst = 10 * time.Second
	resetLast  = 5 * time.Minute
)

// resetConnect is how long one try to connect for a reset is repeated.
const resetConnect = 30 * time.Second

// reset is the reset of a host after one use.
type reset struct {
	mu  sync.Mutex
	err error // of the latest try; nil: none failed
}

// latest returns the error of the latest try. After Shutdown there may be no reset.
func (r *reset) latest() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *reset) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// startReset begins to reset a host, unless that runs already. g.mu is held.
func (g *InstanceGroup) startReset(name, id string) {
	if g.resets[id] != nil || g.ends.Err() != nil {
		return
	}
	r := &reset{}
	g.resets[id] = r
	g.working.Go(func() { g.reset(name, id, r) })
}

// startCleaning begins to reset the hosts that left the list without a reset, and are in the list again. g.mu is held.
func (g *InstanceGroup) startCleaning(s *state) {
	for name := range g.hosts {
		if g.unclean(s, name) {
			g.startReset(name, s.latest(name))
		}
	}
}

// unclean reports whether a host that is not in use must be reset before it may be used.
func (g *InstanceGroup) unclean(s *state, name string) bool {
	return g.ResetCommand != "" && s.dirty(name)
}

// reset runs the reset command until it succeeds, and then frees the host. A host that is no longer in the list gets one try: it may be gone for
// ever, and if it returns, it is reset before it is used.
func (g *InstanceGroup) reset(name, id string, r *reset) {
	for pause := resetFirst; ; pause = min(2*pause, resetLast) {
		err := g.runReset(name, id)
		if err == nil {
			err = g.settle(id, func(s *state) { s.cleaned(name, id) })
		} else if g.ends.Err() == nil && !g.listed(name) {
			g.log.Warn("the host left the list and was not reset; if it returns, it is reset before it is used", "host", name, "instance", id, "error", err)
			err = g.settle(id, func(s *state) { s.abandoned(name, id) })
		}
		if err == nil {
			g.log.Info("the use of the host has ended", "host", name, "instance", id)
			return
		}
		if g.ends.Err() != nil {
			return
		}
		r.fail(err)
		g.log.Warn("the host is not free, because its reset failed; it is repeated", "host", name, "instance", id, "after", pause.String(), "error", err)
		select {
		case <-time.After(pause):
		case <-g.ends.Done():
			return
		}
	}
}

// settle stores how a reset ended, and forgets the reset. Until it is stored, Update must not begin a second reset of the host.
func (g *InstanceGroup) settle(id string, change func(*state)) error {
	err := g.locked(g.ends, func(s *state) (bool, error) {
		change(s)
		return true, nil
	})
	if err == nil {
		g.mu.Lock()
		delete(g.resets, id)
		g.mu.Unlock()
	}
	return err
}

// listed reports whether the host is in the list now.
func (g *InstanceGroup) listed(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.hosts[name]
	return ok
}

// failingReset returns the first use, by id, whose reset has failed, and why. g.mu is held.
func (g *InstanceGroup) failingReset() (id string, err error) {
	for _, id := range slices.Sorted(maps.Keys(g.resets)) {
		if err := g.resets[id].latest(); err != nil {
			return id, err
		}
	}
	return "", nil
}

// runReset runs the reset command once. Without one there is nothing to do: it was removed from the configuration meanwhile.
func (g *InstanceGroup) runReset(name, id string) error {
	if g.ResetCommand == "" {
		return nil
	}
	g.mu.Lock()
	h, ok := g.host(name)
	g.mu.Unlock()
	if !ok { // it left the list while no plugin ran
		return errors.New("this process does not know how to reach it")
	}
	info, err := g.connectInfo(&h, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(g.ends, g.ResetTimeout.Std(), fmt.Errorf("reset_timeout (%s) has passed; raise it if the command needs longer", g.ResetTimeout.Std()))
	defer cancel()
	info.Timeout = min(g.ResetTimeout.Std(), resetConnect) // the host is always on: a long wait would only hide why it fails
	client, err := connector.Dial(ctx, info, connector.DialOptions{
		UseExternalAddr: g.UseExternalAddr, Dial: connector.DialFunc(g.dial),
		// Without host_keys the key of the host is not known here. The operator's password for all hosts is not sent then.
		PinHostKey: func(string) error { return nil }, PasswordWithoutHostKey: !h.Password.Empty(),
	})
	if err != nil {
		return fmt.Errorf("connect for the reset command: %w", err)
	}
	defer func() { _ = client.Close() }()
	var said tail
	if err := client.Run(ctx, connector.RunOptions{Command: g.ResetCommand, Stdout: &said, Stderr: &said}); err != nil {
		if text := said.String(); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return fmt.Errorf("reset_command: %w", err)
	}
	return nil
}

// tail keeps the end of what a command prints.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 300

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - tailSize; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
