package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/clock"
	"github.com/taskscaler/taskscaler/internal/journal"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// Taskscaler is the manager of one group. [New] starts it. Its methods are safe for concurrent use.
type Taskscaler struct {
	group    provider.InstanceGroup
	info     provider.ProviderInfo
	limit    atomic.Int64 // the provider's limit on instances, as it said it last
	caps     []provider.Capability
	store    statestore.Store
	log      *slog.Logger
	ready    ReadyFunc
	dialer   Dialer
	clock    clock.Clock
	restored map[record.ID]restored // instances in the store at the start

	cfg      atomic.Pointer[Config]
	inbox    *inbox
	spare    waiterPool
	vault    *vault
	keeper   *keeper
	work     *workers
	observer *observer
	health   health
	failing  failing
	journal  *journal.Writer // nil: no journal

	reload   sync.Mutex // one Reload at a time
	endWork  context.CancelCauseFunc
	endWatch context.CancelFunc
	watching context.Context // ends with endWatch, at the end of a shutdown: for what asks the provider without a command

	commitCtx  context.Context // ends when the shutdown stops waiting for a commit
	giveUpHope context.CancelCauseFunc

	stopOnce sync.Once
	stopErr  error
	dead     chan struct{} // closed when the loop makes no more decisions; stopErr says why
	loopDone chan struct{} // closed when the loop has answered every caller
	finished chan struct{} // closed when a shutdown has nothing left to do
	shutOnce sync.Once
	shutErr  error
	done     chan struct{}
	doneOnce sync.Once
}

// restored is an instance that the store knew before this start.
type restored struct {
	serial uint64
	keys   []string
}

// New loads the state, calls Init of the group, and starts the manager. It does not wait for the provider's first list: see
// [Taskscaler.Ready]. ctx bounds New only, not the manager.
//
// The manager owns the group and the store from this call on. Shutdown closes them. If New returns an error, it has closed them.
//
// Errors: a group or an option that is nil, a ctx that has ended, those of Config.Validate, of the store's Load and Commit, and of the group's Init (provider.KindOf returns the kind), and
// *GroupMismatchError.
func New(ctx context.Context, group provider.InstanceGroup, cfg Config, opts ...Option) (*Taskscaler, error) {
	o := options{dial: connector.Dial, log: slog.New(slog.DiscardHandler), clock: clock.New()}
	for _, opt := range opts {
		if opt == nil {
			o.refuse("an option is nil: leave it out")
			continue
		}
		opt(&o)
	}
	if o.store == nil {
		o.store = statestore.NewMemory()
	}
	if absent(group) {
		return nil, errors.Join(errors.New("the group is nil: pass the provider.InstanceGroup to manage"), o.store.Close())
	}
	t, err := prepareManager(ctx, group, cfg, &o)
	if err != nil {
		cfg.ShutdownTimeout = max(cfg.ShutdownTimeout, 0)
		cfg = cfg.WithDefaults()
		return nil, errors.Join(err, shutdownGroup(ctx, o.log, &cfg, group), o.store.Close())
	}
	return t, nil
}

// prepareManager does everything that can fail. Then it starts the goroutines.
func prepareManager(ctx context.Context, group provider.InstanceGroup, cfg Config, o *options) (*Taskscaler, error) {
	if err := errors.Join(o.faults...); err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("invalid taskscaler.Config: %w", err)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the context of taskscaler.New has ended: %w", context.Cause(ctx))
	}
	cfg = cfg.WithDefaults()
	snap, err := o.store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the state: %w", err)
	}
	t := &Taskscaler{
		group: group, store: o.store, log: o.log, ready: o.ready, dialer: o.dial, clock: o.clock, restored: restoredOf(&snap.State),
		inbox: newInbox(), dead: make(chan struct{}), loopDone: make(chan struct{}), finished: make(chan struct{}), done: make(chan struct{}),
	}
	t.failing.log, t.failing.clock = o.log, o.clock
	t.cfg.Store(&cfg)
	t.keeper = newKeeper(t)
	workCtx, endWork := context.WithCancelCause(context.Background())
	t.work, t.endWork = newWorkers(workCtx, t), endWork
	if err := t.initialise(ctx, &snap); err != nil {
		endWork(err)
		return nil, err
	}
	core, err := t.startCore(ctx, &snap.State)
	if err != nil {
		endWork(err)
		return nil, err
	}
	t.journal = openJournal(o, core)
	t.start(core, observe.Tee(append([]observe.Observer{observe.Log(o.log)}, o.taps...)...))
	return t, nil
}

// initialise opens the vault and calls Init of the group.
func (t *Taskscaler) initialise(ctx context.Context, snap *statestore.Snapshot) (err error) {
	cfg := t.config()
	if t.vault, err = openVault(snap, &cfg.Connector); err != nil {
		return err
	}
	t.info, err = ask(ctx, t.work, callInit, "", 0, func(ctx context.Context) (provider.ProviderInfo, error) {
		return t.group.Init(ctx, hclogTo(t.log), provider.Settings{ConnectorConfig: cfg.Connector})
	})
	if err != nil {
		return fmt.Errorf("Init of the provider: %w", err)
	}
	t.caps = t.info.CapabilitiesOf(t.group)
	t.limit.Store(int64(t.info.MaxSize))
	t.compareLimit(cfg)
	return nil
}

func restoredOf(s *record.Saved) map[record.ID]restored {
	all := make(map[record.ID]restored, len(s.Instances))
	for i := range s.Instances {
		r := restored{serial: s.Instances[i].Serial}
		for _, l := range s.Instances[i].Leases {
			r.keys = append(r.keys, string(l.Key))
		}
		all[s.Instances[i].ID] = r
	}
	return all
}

// startCore records the provider's group in the state, and makes a core that continues from the state.
func (t *Taskscaler) startCore(ctx context.Context, saved *record.Saved) (*scaler.Core, error) {
	bound := saved.Meta.Group
	if bound != "" && bound != t.info.ID {
		return nil, &GroupMismatchError{Stored: bound, Provider: t.info.ID}
	}
	known := bound != "" && !saved.Empty()
	if bound != t.info.ID {
		saved.Meta.Group = t.info.ID
		meta := saved.Meta
		if err := t.store.Commit(ctx, statestore.Commit{Changes: &record.Changes{Meta: &meta}}); err != nil {
			return nil, fmt.Errorf("bind the state to group %q: %w", t.info.ID, err)
		}
	}
	mono, wall := t.clock.Now()
	core, err := scaler.New(t.coreConfig(t.config()), *saved, known, scaler.Time{Mono: mono, Wall: wall})
	if err != nil {
		return nil, fmt.Errorf("the stored state is inconsistent: %w; restore a backup of the state directory, or move it away", err)
	}
	return core, nil
}

// coreConfig returns the core's settings: those of cfg, the provider's limit, and whether the provider has heartbeats.
func (t *Taskscaler) coreConfig(cfg *Config) scaler.Config {
	core := cfg.core().WithDefaults()
	core.ProviderMax = int(t.limit.Load())
	core.Heartbeat = t.can(provider.CapabilityHeartbeat)
	return core
}

func (t *Taskscaler) can(c provider.Capability) bool {
	for _, have := range t.caps {
		if have == c {
			return true
		}
	}
	return false
}

func (t *Taskscaler) start(core *scaler.Core, obs observe.Observer) {
	watchCtx, endWatch := context.WithCancel(t.work.ctx)
	t.commitCtx, t.giveUpHope = context.WithCancelCause(context.Background())
	t.endWatch, t.watching = endWatch, watchCtx
	t.observer = newObserver(t)
	for id, s := range t.vault.all {
		if !s.resting {
			t.keeper.mind(id, s.serial, s.info.Reveal(), true)
		}
	}
	l := &loop{t: t, core: core, obs: obs, leases: map[record.Key]*Lease{}}
	go l.run()
	go t.observer.run(watchCtx)
	go t.watchdog(watchCtx, l)
	if store, ok := t.store.(statestore.Checker); ok {
		go t.watchStore(watchCtx, store)
	}
}

// watchdog stops the manager when a commit blocks for too long. The loop cannot do that, because it waits for the commit.
func (t *Taskscaler) watchdog(ctx context.Context, l *loop) {
	ticker := time.NewTicker(30 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.dead:
			return
		case <-ticker.C:
		}
		since := t.health.commitSince.Load()
		if hung := t.clock.Mono() - time.Duration(since); since > 0 && hung > commitPatience+time.Minute {
			l.abandon(&StopError{Reason: "a commit hangs", Err: fmt.Errorf("the state store has not answered for %s: check its disk, then start the manager again",
				hung.Round(time.Second))})
			return
		}
	}
}

func (t *Taskscaler) config() *Config { return t.cfg.Load() }

// stop ends all decisions. The first call counts. A nil err means a shutdown.
func (t *Taskscaler) stop(err error) {
	t.stopOnce.Do(func() {
		t.stopErr = err
		close(t.dead)
		if err != nil {
			t.log.Error("the manager stopped itself: correct the cause and start it again", "error", err)
			t.endWork(err)
			t.finish()
		}
	})
}

func (t *Taskscaler) finish() { t.doneOnce.Do(func() { close(t.done) }) }

// stopped returns the error for callers after the loop has stopped accepting events.
func (t *Taskscaler) stopped() error {
	select {
	case <-t.dead:
		if t.stopErr != nil {
			return t.stopErr
		}
	default:
	}
	return ErrShutdown
}

// Done returns a channel that is closed when the manager has stopped, after Shutdown or because it cannot continue (see Err). Call
// Shutdown in both cases.
func (t *Taskscaler) Done() <-chan struct{} { return t.done }

// Err returns nil while the manager runs, ErrShutdown after Shutdown, and a *StopError after the manager has stopped itself.
func (t *Taskscaler) Err() error {
	select {
	case <-t.done:
		return t.stopped()
	default:
		return nil
	}
}

// Ready returns nil if the manager can grant leases and change the group. Otherwise the error says what is missing: the provider's first
// list, the plugin, or a working store. After the manager has stopped, it returns Err. Ready never blocks.
func (t *Taskscaler) Ready() error {
	if err := t.Err(); err != nil {
		return err
	}
	if tr := t.health.trouble.Load(); tr != nil {
		return fmt.Errorf("the state cannot be committed since %s (%s); check the disk and the state directory: %w", tr.since.Format(time.RFC3339), words.Count(tr.failures, "failure"), tr.err)
	}
	if since := t.health.commitSince.Load(); since > 0 {
		if d := t.clock.Mono() - time.Duration(since); d > commitSlow {
			return fmt.Errorf("a commit of the state has been running for %s: check the disk", d.Round(time.Second))
		}
	}
	if away := t.health.away.Load(); away != nil {
		return *away
	}
	started, lists := t.health.started.Load(), t.health.lists.Load()
	switch {
	case lists != nil && (!started || lists.failures >= scaler.FailingLists):
		return fmt.Errorf("the instances cannot be listed since %s (%s): %s", lists.since.Format(time.RFC3339), words.Count(lists.failures, "failure"), lists.words)
	case !started:
		return errors.New("the provider has not returned its first list yet: wait")
	}
	return nil
}

// Reload replaces the configuration. Leases are not affected. Name and Connector cannot change, because the group received the connector
// settings in its Init.
//
// Errors: those of Config.Validate, a changed Name or Connector, a ctx that has ended, ErrShutdown, and *StopError. The old
// configuration then stays. If ctx ends while the state cannot be committed, the error says so, and cfg takes effect with the next commit.
func (t *Taskscaler) Reload(ctx context.Context, cfg Config) error {
	if ctx.Err() != nil {
		return fmt.Errorf("reload: %w", context.Cause(ctx))
	}
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("reload: invalid Config: %w", err)
	}
	cfg = cfg.WithDefaults()
	t.reload.Lock()
	defer t.reload.Unlock()
	if old := t.config(); old.Name != cfg.Name || !reflect.DeepEqual(old.Connector, cfg.Connector) {
		return errors.New("reload: name and connector_config cannot change while the manager runs: restart the manager")
	}
	t.describe(ctx)
	core := t.coreConfig(&cfg)
	_, err := t.callWith(ctx, &scaler.Event{Kind: scaler.EvReload, Config: &core}, func() {
		t.cfg.Store(&cfg)
		t.observer.hurry()
	})
	switch {
	case errors.Is(err, errAbandoned):
		return fmt.Errorf("reload: the new configuration takes effect with the next commit: %w", err)
	case err != nil:
		return fmt.Errorf("reload: %w", err)
	}
	t.compareLimit(&cfg)
	return nil
}
