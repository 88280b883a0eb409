package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Process is an InstanceGroup in a plugin process. If the process dies or hangs, Process starts a new one and initialises it with the same
// configuration, after a pause that grows with each failure. Until then every call returns an error at once, with provider.ErrAway in its
// chain. Its kind is KindTransient, or KindConfig if the new process refused the configuration. All methods may be called from several
// goroutines at once.
type Process struct {
	opts   LaunchOptions
	name   string
	log    *slog.Logger
	redact *redactor
	life   context.Context // ends with Close
	stop   context.CancelFunc
	wg     sync.WaitGroup
	turn   chan struct{} // held while the process is started, initialised or ended
	ended  chan struct{} // closed when Close is done

	mu          sync.Mutex
	cur         *child // nil: away
	away        error  // what calls return when cur is nil
	state       *initState
	relaunching bool
	restarts    int // successful ones, ever
	attempts    int // failed ones, in a row
	pause       *backoff.ExponentialBackOff
	closed      bool
}

// initState holds the settings that the process was initialised with, and its answer.
type initState struct {
	settings secret.Value[provider.Settings]
	info     provider.ProviderInfo
}

var (
	_ provider.InstanceGroup = (*Process)(nil)
	_ provider.Heartbeater   = (*Process)(nil)
	_ provider.Describer     = (*Process)(nil)
	_ provider.Suspender     = (*Process)(nil)
)

func newProcess(o LaunchOptions) *Process {
	p := &Process{opts: o, name: filepath.Base(o.Path), redact: newRedactor(), turn: make(chan struct{}, 1), ended: make(chan struct{})}
	p.pause = newPause(&p.opts)
	p.log = o.Logger.With(slog.String("plugin", p.name))
	p.life, p.stop = context.WithCancel(context.Background())
	p.away = awayf("plugin %s is not started", p.name)
	return p
}

// Init passes the configuration and the settings to the plugin, and returns the plugin's description of its group. After an error it may
// be called again; it then uses a new process. The hclog.Logger is not used and may be nil: the plugin logs to LaunchOptions.Logger.
func (p *Process) Init(ctx context.Context, _ hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	if err := p.takeTurn(ctx); err != nil {
		return provider.ProviderInfo{}, err
	}
	defer p.giveTurn()
	p.mu.Lock()
	c, state := p.cur, p.state
	p.mu.Unlock()
	if state != nil {
		return provider.ProviderInfo{}, provider.Errorf(provider.KindConfig, "plugin %s is initialised already", p.name)
	}
	if c == nil {
		var err error
		if c, err = p.start(ctx); err != nil {
			return provider.ProviderInfo{}, provider.Errorf(provider.KindTransient, "starting the plugin: %w", err)
		}
		p.adopt(c)
	}
	state = &initState{settings: secret.Hide(settings)}
	if err := p.initialise(ctx, c, state); err != nil {
		p.dismiss(c, err)
		return provider.ProviderInfo{}, err
	}
	p.mu.Lock()
	p.state = state
	died := p.cur != c
	p.mu.Unlock()
	if died { // after its answer
		p.relaunch()
	}
	return state.info, nil
}

// Describe starts a second process of the plugin, calls its Init, and ends it: so it learns what the plugin would say now, and the process in
// use stays. Init must therefore not disturb another process of the same plugin. The second process's Shutdown is not called.
func (p *Process) Describe(ctx context.Context) (provider.ProviderInfo, error) {
	if err := p.takeTurn(ctx); err != nil {
		return provider.ProviderInfo{}, err
	}
	defer p.giveTurn()
	p.mu.Lock()
	state, away := p.state, p.away
	up := p.cur != nil
	p.mu.Unlock()
	switch {
	case state == nil:
		return provider.ProviderInfo{}, awayf("plugin %s is not initialised", p.name)
	case !up: // the next process says it in its Init
		return provider.ProviderInfo{}, away
	}
	next := *state
	c, err := p.startInitialised(ctx, &next)
	if err != nil {
		return provider.ProviderInfo{}, err
	}
	c.kill()
	c.end()
	p.mu.Lock()
	p.state = &next
	p.mu.Unlock()
	return next.info, nil
}

// Info returns the latest result of Init or Describe, and the zero value before Init.
func (p *Process) Info() provider.ProviderInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		return provider.ProviderInfo{}
	}
	return p.state.info
}

// Capabilities returns the plugin's capabilities, and nothing before Init. See provider.CapabilitiesOf.
func (p *Process) Capabilities() []provider.Capability { return slices.Clone(p.Info().Capabilities) }

// Status returns the current state of the process.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Restarts: p.restarts}
	if p.cur != nil {
		s.Up, s.PID = true, p.cur.pid
	} else {
		s.Reason = p.away.Error()
	}
	return s
}

// Shutdown is the same as Close.
func (p *Process) Shutdown(ctx context.Context) error { return p.Close(ctx) }

// Close calls the plugin's Shutdown and ends the process. It removes no instance. A plugin that hangs is killed. When Close returns, the
// process has ended, even if Close returns an error; the error is that of Shutdown. Later calls return nil.
func (p *Process) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.ended
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	defer close(p.ended)
	p.stop()
	p.turn <- struct{}{} // its holder returns soon, because life has ended
	defer p.giveTurn()
	p.mu.Lock()
	c, initialised, dir := p.cur, p.state != nil, p.state.dir(&p.opts)
	p.cur, p.away = nil, awayf("plugin %s is closed", p.name)
	p.mu.Unlock()
	var err error
	switch {
	case c == nil:
	case initialised && !c.run.hasExited():
		err = c.shutdown(ctx, &p.opts, p.redact)
	default:
		c.end()
	}
	p.wg.Wait()
	dropStateDir(dir)
	if err != nil {
		return fmt.Errorf("closing plugin %s: %w", p.name, err)
	}
	return nil
}

func (p *Process) takeTurn(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return awayf("plugin %s is busy starting: %w", p.name, context.Cause(ctx))
	case <-p.life.Done():
		return awayf("plugin %s is closed", p.name)
	}
	if p.life.Err() != nil {
		p.giveTurn()
		return awayf("plugin %s is closed", p.name)
	}
	return nil
}

func (p *Process) giveTurn() { <-p.turn }

// untilClosed returns a context that ends with ctx, or with Close.
func (p *Process) untilClosed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.life, func() { cancel(errors.New("the plugin is being closed")) })
	return ctx, func() { stop(); cancel(nil) }
}

func (p *Process) start(ctx context.Context) (*child, error) {
	ctx, done := p.untilClosed(ctx)
	defer done()
	return startChild(ctx, &p.opts, p.log, p.redact)
}

// initialise calls Init. If state.info has an ID, the process must report the same group.
func (p *Process) initialise(ctx context.Context, c *child, state *initState) error {
	ctx, done := p.untilClosed(ctx)
	defer done()
	if err := checkConnector(state.settings.Reveal().ConnectorConfig); err != nil {
		return provider.Errorf(provider.KindConfig, "connector_config: %w", bare(err))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.opts.InitTimeout, &lateError{fmt.Sprintf(
		"no answer within %s; raise call_timeouts.init if Init needs longer", p.opts.InitTimeout)})
	defer cancel()
	p.redact.addGiven(state.settings.Reveal().ConnectorConfig)
	dir, err := p.stateDir(state)
	if err != nil {
		return err
	}
	began := time.Now()
	resp, err := c.rpc.Init(ctx, &pb.InitRequest{
		PluginConfig: p.opts.Config, Connector: connectorToWire(state.settings.Reveal().ConnectorConfig), StateDir: dir,
	})
	if err != nil {
		return p.initBroken(ctx, c, err)
	}
	if err := failureFromWire(resp.GetFailure(), p.redact.text); err != nil {
		if limit := p.opts.InitTimeout; time.Since(began) >= limit-min(limit/10, time.Second) { // the plugin's own deadline is a little earlier
			return fmt.Errorf("plugin %s: Init was cancelled after %s: raise call_timeouts.init if it needs more time: %w", p.name, limit, err)
		}
		return err
	}
	if err := p.plausibleInfo(resp); err != nil {
		return err
	}
	info := infoFromWire(resp)
	if err := p.checkVersion(info.Version); err != nil {
		return err
	}
	switch {
	case provider.CheckID(info.ID) != nil:
		return provider.Errorf(provider.KindConfig, "plugin %s does not say which group it manages (ProviderInfo.ID %w): this is a fault of the plugin", p.name, provider.CheckID(info.ID))
	case state.info.ID != "" && info.ID != state.info.ID:
		return provider.Errorf(provider.KindConfig, "plugin %s now manages group %q, but the state is bound to group %q: "+
			"restore its configuration, or restart taskscaler for the other group", p.name, info.ID, state.info.ID)
	}
	state.info = info
	return nil
}

// initBroken returns the error for a transport error of Init. Its usual reason is that the process ended.
func (p *Process) initBroken(ctx context.Context, c *child, err error) error {
	if cause := gaveUp(ctx, err); cause != nil {
		return provider.Errorf(provider.KindTransient, "plugin %s: Init did not return in time: %w", p.name, cause)
	}
	if !c.exitsSoon(ctx, p.opts.exitGrace) {
		return provider.Errorf(provider.KindTransient, "plugin %s: Init: %w", p.name, p.wireError(err))
	}
	<-c.run.pumped
	return &provider.Error{Kind: provider.KindTransient, Err: &LaunchError{
		Path: p.opts.Path, Reason: ReasonExitedEarly, Detail: "it ended during Init", Err: c.run.waitErr, Stderr: c.run.pump.last(lastWords),
	}}
}

func (p *Process) startInitialised(ctx context.Context, state *initState) (*child, error) {
	c, err := p.start(ctx)
	if err != nil {
		return nil, provider.Errorf(provider.KindTransient, "%w", err)
	}
	if err := p.initialise(ctx, c, state); err != nil {
		c.kill()
		c.end()
		return nil, err
	}
	return c, nil
}
