package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

var _ control.Manager = (*Daemon)(nil)

// selected returns the running runners that selector selects. "" selects all.
func (d *Daemon) selected(selector string) ([]*runner, error) {
	found, err := d.opts.File.Select(selector)
	if err != nil {
		return nil, control.Errorf(control.CodeUnknownRunner, "%v", err)
	}
	var out []*runner
	for _, want := range found {
		for _, r := range d.runners {
			if r.file.Index == want.Index {
				out = append(out, r)
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	for _, r := range d.refused {
		if selector != "" && r.Position == found[0].Index {
			return nil, control.Errorf(control.CodeRefused, "runner %q: %s", selector, r.Refused)
		}
	}
	return nil, control.Errorf(control.CodeUnknownRunner, "this manager does not run runner %q; use one of: %s", selector, d.names())
}

// Runner is part of control.Manager.
func (d *Daemon) Runner(selector string) (control.Runner, error) {
	if err := d.awaitStart(context.Background()); err != nil { // the start is bounded by call_timeouts.init
		return nil, err
	}
	if selector == "" {
		if len(d.runners) > 1 {
			return nil, control.Errorf(control.CodeUnknownRunner, "the manager has %d runners; choose one with --runner: %s", len(d.runners), d.names())
		}
		return d.runners[0].served(), nil // the only runner has started, or the start has failed
	}
	found, err := d.selected(selector)
	if err != nil {
		return nil, err
	}
	if found[0].running() == nil {
		return nil, found[0].notStarted()
	}
	return found[0].served(), nil
}

// Status is part of control.Manager.
func (d *Daemon) Status(ctx context.Context, selector string, instances int) (control.Status, error) {
	found := d.runners
	status := control.Status{Manager: d.Info(), Reload: d.lastReload(), Runners: []control.RunnerStatus{}}
	if selector != "" {
		var err error
		if found, err = d.selected(selector); err != nil {
			return status, err
		}
	}
	if d.starting() {
		for _, r := range found {
			status.Runners = append(status.Runners, r.notStartedStatus())
		}
		found = nil
	} else if err := d.awaitStart(ctx); err != nil {
		return status, err
	}
	for _, r := range found {
		scaler := r.running()
		if scaler == nil {
			status.Runners = append(status.Runners, r.notStartedStatus())
			continue
		}
		fleet, err := scaler.StatusOf(ctx, instances)
		if err != nil {
			return status, r.wrap(apiError(err))
		}
		status.Runners = append(status.Runners, control.RunnerStatus{
			Name: r.file.Name, ID: r.file.ID, Position: r.file.Index, Identity: r.identity, Journal: scaler.Journal(), Fleet: &fleet,
			Held: r.held.count(),
		})
		r.flush(ctx)
	}
	if selector == "" {
		status.Runners = append(status.Runners, d.refused...)
	}
	return status, nil
}

// flushPatience is the longest time that a status waits for the journal.
const flushPatience = time.Second

// flush writes the journal to its files, so that the files contain everything that a status shows. If this fails, the journal's writer
// warns in the log; the status is answered anyway.
func (r *runner) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushPatience)
	defer cancel()
	if err := r.running().FlushJournal(ctx); err != nil {
		r.log.Debug("the journal was not written before a status", "error", err)
	}
}

// Drain is part of control.Manager.
func (d *Daemon) Drain(ctx context.Context, selector string) error {
	if err := d.awaitStart(ctx); err != nil {
		return err
	}
	return d.each(selector, func(t *taskscaler.Taskscaler) error { return t.Drain(ctx) })
}

// Undrain is part of control.Manager.
func (d *Daemon) Undrain(ctx context.Context, selector string) error {
	if err := d.awaitStart(ctx); err != nil {
		return err
	}
	return d.each(selector, func(t *taskscaler.Taskscaler) error { return t.Undrain(ctx) })
}

// each calls do for the selected runner, or for all runners that have started, at the same time.
func (d *Daemon) each(selector string, do func(*taskscaler.Taskscaler) error) error {
	found := d.runners
	if selector != "" {
		var err error
		if found, err = d.selected(selector); err != nil {
			return err
		}
	}
	errs := make([]error, len(found))
	var all sync.WaitGroup
	for i, r := range found {
		switch scaler := r.running(); {
		case scaler != nil:
			all.Go(func() { errs[i] = r.wrap(apiError(do(scaler))) })
		case selector != "":
			errs[i] = r.notStarted()
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// Ready is part of control.Manager.
func (d *Daemon) Ready() error {
	if d.starting() {
		return errors.New("the manager is starting: it waits for its plugins")
	}
	if d.failure != nil {
		return d.failure
	}
	var errs []error
	for _, r := range d.runners {
		if scaler := r.running(); scaler != nil {
			errs = append(errs, r.wrap(scaler.Ready()))
			continue
		}
		errs = append(errs, r.notStarted())
	}
	return errors.Join(errs...)
}

// served makes a Taskscaler a control.Runner.
type served struct {
	scaler *taskscaler.Taskscaler
	reach  reach
	held   *held
}

// reach is how a caller of a lease must connect, beside what its connect info says.
// It is comparable, because package control tells runners apart by ==.
type reach struct {
	external, legacy, groups, insecureWinRM bool
	shell, auth, ca                         string // of WinRM
	jump                                    *connector.JumpHost
}

func (r *runner) served() served {
	s := r.settings.Reveal()
	w := s.WinRM
	return served{r.running(), reach{
		external: s.UseExternalAddr, legacy: s.AllowLegacySSH, groups: s.AllowDHGroupExchange,
		insecureWinRM: w.Insecure, shell: string(w.Shell), auth: string(w.Auth), ca: string(w.CA), jump: s.Jump,
	}, &r.held}
}

// Reserve implements control.Runner.
func (s served) Reserve(ctx context.Context, key string) error {
	return apiError(s.scaler.Reserve(ctx, key))
}

// Unreserve implements control.Runner.
func (s served) Unreserve(key string) { s.scaler.Unreserve(key) }

// Acquire implements control.Runner.
func (s served) Acquire(ctx context.Context, key string) (control.LiveLease, error) {
	lease, err := s.scaler.Acquire(ctx, key)
	if err != nil {
		return nil, apiError(err)
	}
	return liveLease{lease, s.reach}, nil
}

// Reattach implements control.Runner.
func (s served) Reattach(ctx context.Context, key string) (control.LiveLease, error) {
	lease, err := s.scaler.Reattach(ctx, key)
	if err != nil {
		return nil, apiError(err)
	}
	return liveLease{lease, s.reach}, nil
}

// Holds implements control.Runner.
func (s served) Holds(ctx context.Context, key string) bool {
	held, err := s.scaler.Holds(ctx, key)
	return held || err != nil
}

// Release implements control.Runner.
func (s served) Release(ctx context.Context, key string) error {
	return apiError(s.scaler.Release(ctx, key))
}

// Reopened implements control.Runner.
func (s served) Reopened(ctx context.Context) error { return apiError(s.held.wait(ctx, s.scaler)) }

// Detach implements control.Runner.
func (s served) Detach(key string) { s.scaler.Detach(key) }

// Waiting implements control.Runner.
func (s served) Waiting(ctx context.Context, key string) (control.Wait, bool) {
	w, ok, err := s.scaler.Wait(ctx, key)
	if err != nil || !ok {
		return control.Wait{}, false
	}
	return control.Wait{Position: w.Position, Cause: w.Cause, Sentence: w.Sentence}, true
}

// liveLease makes a Lease a control.LiveLease.
type liveLease struct {
	lease *taskscaler.Lease
	reach reach
}

// Lease implements control.LiveLease.
func (h liveLease) Lease() control.Lease {
	return control.Lease{
		Key: h.lease.Key(), Instance: h.lease.InstanceID(), Slot: h.lease.Slot(), Use: h.lease.Use(),
		UseExternalAddr: h.reach.external, AllowLegacySSH: h.reach.legacy, AllowDHGroupExchange: h.reach.groups, Jump: h.reach.jumpHost(), WinRM: h.reach.winrm(),
	}
}

func (r reach) jumpHost() *control.JumpHost {
	if r.jump == nil {
		return nil
	}
	return &control.JumpHost{Address: r.jump.Address, Username: r.jump.Username, Key: r.jump.Key, HostKeys: r.jump.HostKeys}
}

func (r reach) winrm() *control.WinRM {
	return &control.WinRM{Shell: r.shell, Auth: r.auth, CA: []byte(r.ca), Insecure: r.insecureWinRM}
}

// Connect implements control.LiveLease.
func (h liveLease) Connect(ctx context.Context) (provider.ConnectInfo, error) {
	return h.lease.ConnectInfo(ctx)
}

// Release implements control.LiveLease.
func (h liveLease) Release(ctx context.Context, found control.Unhealthy, reason string) (err error) {
	switch found {
	case "":
		err = h.lease.Release(ctx)
	case control.UnhealthyChangedHostKey:
		err = h.lease.ReleaseChangedHostKey(ctx, reason)
	case control.UnhealthyDoubtful:
		err = h.lease.ReleaseDoubtful(ctx, reason)
	default:
		err = h.lease.ReleaseUnhealthy(ctx, reason)
	}
	var revoked *taskscaler.RevokedError
	if errors.As(err, &revoked) {
		return &control.APIError{Code: control.CodeUnknownKey, Message: err.Error()}
	}
	return apiError(err)
}

// Ended implements control.LiveLease.
func (h liveLease) Ended() <-chan struct{} { return h.lease.Context().Done() }

// Last implements control.LiveLease.
func (h liveLease) Last() control.Event {
	cause := context.Cause(h.lease.Context())
	var revoked *taskscaler.RevokedError
	switch {
	case errors.As(cause, &revoked):
		return control.Event{Revoked: &control.Revoked{Instance: revoked.Instance, Cause: revoked.Cause.String(), Sentence: revoked.Sentence}}
	case errors.Is(cause, context.Canceled):
		return control.Event{Released: true}
	}
	return control.Event{Error: classify(cause)}
}

// apiError is classify for an error that may be nil.
func apiError(err error) error {
	if err == nil {
		return nil
	}
	return classify(err)
}

// classify gives an error of package taskscaler its code for clients.
func classify(err error) *control.APIError {
	code := control.CodeInternal
	var stopped *taskscaler.StopError
	switch {
	case errors.As(err, &stopped), errors.Is(err, taskscaler.ErrShutdown): // leases stay in the store: a new manager has them
		code = control.CodeShutdown
	case errors.Is(err, taskscaler.ErrNoCapacity):
		code = control.CodeNoCapacity
	case errors.Is(err, taskscaler.ErrDraining):
		code = control.CodeDraining
	case errors.Is(err, taskscaler.ErrUndrained):
		code = control.CodeUndrained
	case errors.Is(err, taskscaler.ErrUnknownKey):
		code = control.CodeUnknownKey
	case errors.Is(err, taskscaler.ErrDuplicateKey):
		code = control.CodeDuplicateKey
	case errors.Is(err, context.DeadlineExceeded):
		code = control.CodeTimeout
	}
	return &control.APIError{Code: code, Message: err.Error()}
}
