package static

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// A reset command that fails is repeated after resetFirst, then after twice that time, up to resetLast.
const (
	resetFirst = 10 * time.Second
	resetLast  = 5 * time.Minute
)

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
func (g *InstanceGroup) startReset(name string, u *use) {
	id := u.id(name)
	if g.resets[id] != nil || g.ends.Err() != nil {
		return
	}
	r := &reset{}
	g.resets[id] = r
	g.working.Go(func() { g.reset(name, id, r) })
}

// reset runs the reset command until it succeeds, and then frees the host.
func (g *InstanceGroup) reset(name, id string, r *reset) {
	for pause := resetFirst; ; pause = min(2*pause, resetLast) {
		err := g.runReset(name, id)
		if err == nil {
			err = g.locked(g.ends, func(s *state) (bool, error) {
				if host, u := s.find(id); u != nil {
					s.free(host)
				}
				return true, nil
			})
		}
		if err == nil { // stored: until then, Update must not begin a second reset of the host
			g.mu.Lock()
			delete(g.resets, id)
			g.mu.Unlock()
			g.log.Info("the host is free", "host", name)
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

// runReset runs the reset command once. Without one there is nothing to do: it was removed from the configuration meanwhile.
func (g *InstanceGroup) runReset(name, id string) error {
	if g.ResetCommand == "" {
		return nil
	}
	g.mu.Lock()
	h, ok := g.host(name)
	g.mu.Unlock()
	if !ok { // it left the list while no plugin ran: it is not taken into use again
		g.log.Warn("the host left the list before it was reset", "host", name)
		return nil
	}
	info, err := g.connectInfo(&h, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(g.ends, time.Duration(g.ResetTimeout), fmt.Errorf("reset_timeout (%s) has passed", time.Duration(g.ResetTimeout)))
	defer cancel()
	info.Timeout = time.Duration(g.ResetTimeout)
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
