package plugin

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const steadyAfter = time.Minute // a process that ran this long resets the back-off

// adopt makes c the process that calls go to, and watches over it.
func (p *Process) adopt(c *child) {
	p.mu.Lock()
	p.cur, p.away, p.relaunching = c, nil, false
	p.mu.Unlock()
	p.wg.Go(func() { p.watch(c) })
}

// watch checks the health of one process until the process has ended for any reason.
func (p *Process) watch(c *child) {
	tick := time.NewTicker(p.opts.PingInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.run.exited:
			p.gone(c) // first, so that no call and no Close uses c
			c.end()
			return
		case <-tick.C:
			p.probe(c)
		}
	}
}

// probe kills c if it does not answer.
func (p *Process) probe(c *child) {
	if !c.probing.CompareAndSwap(false, true) {
		return
	}
	defer c.probing.Store(false)
	if !c.alive(p.life, p.opts.PingTimeout) {
		p.log.Warn("the plugin does not answer and is killed", slog.Int("pid", c.pid))
		c.hung.Store(true)
		c.kill()
	}
}

// suspect starts a probe of c and does not wait for it.
func (p *Process) suspect(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.wg.Go(func() { p.probe(c) })
	}
}

// gone is called when c has ended. It does nothing if another process has replaced c.
func (p *Process) gone(c *child) {
	p.mu.Lock()
	if p.cur != c {
		p.mu.Unlock()
		return
	}
	p.cur, p.away = nil, awayf("plugin %s is away: %s", p.name, c.obituary())
	initialised := p.state != nil
	if time.Since(c.born) >= steadyAfter {
		p.pause.Reset()
	}
	p.mu.Unlock()
	p.log.Error("the plugin process is gone", slog.Int("pid", c.pid), slog.String("reason", c.obituary()))
	if initialised {
		p.relaunch()
	}
}

// dismiss ends a process whose Init failed.
func (p *Process) dismiss(c *child, why error) {
	p.mu.Lock()
	if p.cur == c {
		p.cur, p.away = nil, awayf("plugin %s is not initialised: %w", p.name, why)
	}
	p.mu.Unlock()
	c.kill()
	c.end()
}

// setAway records why calls fail. The kind is KindTransient, or KindConfig if why has it: a person has to change the configuration then.
func (p *Process) setAway(why error) {
	kind := provider.KindTransient
	if provider.KindOf(why) == provider.KindConfig {
		kind = provider.KindConfig
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur == nil && !p.closed {
		p.away = &provider.Error{Kind: kind, Err: awayError{fmt.Errorf("plugin %s is away: %w", p.name, bare(why))}}
	}
}

// awayError means that the plugin is away. It says nothing about the provider or any instance.
type awayError struct{ error }

// Is makes it [provider.ErrAway].
func (awayError) Is(target error) bool { return target == provider.ErrAway }

// Unwrap returns what happened to the plugin.
func (e awayError) Unwrap() error { return e.error }

// awayf is like provider.Errorf, for calls that failed because the plugin is away.
func awayf(format string, args ...any) *provider.Error {
	return &provider.Error{Kind: provider.KindTransient, Err: awayError{fmt.Errorf(format, args...)}}
}

// bare unwraps an outermost *provider.Error, because its kind would be in the text twice.
func bare(err error) error {
	var e *provider.Error
	if errors.As(err, &e) && error(e) == err { //nolint:errorlint // the outermost one is meant
		return e.Err
	}
	return err
}

// relaunch starts a goroutine that starts the process again until it runs or Close is called. There is at most one such goroutine.
func (p *Process) relaunch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.relaunching {
		return
	}
	p.relaunching = true
	p.wg.Go(p.relaunchLoop)
}

func (p *Process) relaunchLoop() {
	for {
		wait := p.nextPause()
		select {
		case <-p.life.Done():
			return
		case <-time.After(wait):
		}
		err := p.tryRelaunch()
		if err == nil || p.life.Err() != nil {
			return
		}
		p.mu.Lock()
		p.attempts++
		attempt := p.attempts
		p.mu.Unlock()
		p.setAway(err)
		p.log.Warn("the plugin could not be started again", slog.Int("attempt", attempt), slog.Any("error", err))
	}
}

// tryRelaunch starts and initialises the process once, unless it runs already.
func (p *Process) tryRelaunch() error {
	if err := p.takeTurn(p.life); err != nil {
		return err
	}
	defer p.giveTurn()
	p.mu.Lock()
	if p.cur != nil {
		p.relaunching = false
		p.mu.Unlock()
		return nil
	}
	next := *p.state
	p.mu.Unlock()
	c, err := p.startInitialised(p.life, &next)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.state = &next
	p.restarts++
	p.attempts = 0
	p.mu.Unlock()
	p.log.Info("the plugin is back", slog.Int("pid", c.pid))
	p.adopt(c)
	return nil
}

// nextPause returns the pause before the next start. It grows with each start, until a process has run for steadyAfter.
func (p *Process) nextPause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pause.NextBackOff()
}

func newPause(o *LaunchOptions) *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval: o.RelaunchMin, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: o.RelaunchMax,
	}
	b.Reset()
	return b
}
