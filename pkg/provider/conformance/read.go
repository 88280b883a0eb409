package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func (t *trial) init() {
	h, err := attempt(t.ctx, t.session, "Init", func(ctx context.Context) (Handle, error) { return t.target.Open(ctx, t.o.Settings) })
	if err != nil && !broken(err) {
		err = t.explain(err)
	}
	switch {
	case broken(err):
		t.halt("Init did not succeed")
		cannot("%s", err.Error())
	case err != nil && t.ctx.Err() != nil:
		t.halt("the run was ended")
		cannot("the run was ended")
	case err != nil:
		t.halt("Init failed")
		t.failNow("See the message. If the configuration is right, Init must succeed with it; a configuration that can never work is an error of provider.KindConfig.", "Init failed: %v", err)
	}
	t.use(h)
}

// use makes h the handle in use.
func (s *session) use(h Handle) {
	s.handle, s.group, s.info = h, h.Group(), h.Info()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handles = append(s.handles, h)
}

func (t *trial) groupID() {
	if err := provider.CheckID(t.info.ID); err != nil {
		t.fail("Set ProviderInfo.ID to what names this group for ever, e.g. aws/eu-west-1/my-asg.", "ProviderInfo.ID %v", err)
	}
}

func (t *trial) maxSize() {
	if t.info.MaxSize < 0 {
		t.fail("Set ProviderInfo.MaxSize to the limit of the group, or 0 if there is none.", "ProviderInfo.MaxSize is %d", t.info.MaxSize)
	}
}

// capabilities compares what is announced with the methods. Whether the methods do something is another check's work, except for suspend_resume,
// which may say that it is not supported.
func (t *trial) capabilities() {
	for _, c := range t.info.Capabilities {
		if !t.can(c) {
			t.fail("Implement the methods, or do not announce it in ProviderInfo.Capabilities.", "Init announces %s, and the group has no method for it", c)
		}
	}
	if _, forwards := t.group.(interface{ Capabilities() []provider.Capability }); forwards || !slices.Contains(t.info.Capabilities, provider.CapabilitySuspendResume) {
		return
	}
	if s, ok := t.group.(provider.Suspender); ok {
		_, err := do(t, "Suspend", func(ctx context.Context) ([]string, error) { return s.Suspend(ctx, nil) })
		if errors.Is(err, provider.ErrSuspendResumeNotSupported) {
			t.fail("Announce only what works: leave suspend_resume out of ProviderInfo.Capabilities.", "Init announces suspend_resume, and Suspend says that it is not supported")
		}
	}
}

func (t *trial) firstList() {
	if t.group == nil {
		cannot("Init did not succeed")
	}
	var err error
	for try := range 3 {
		if try > 0 {
			t.pause(t.o.Poll)
		}
		if _, err = t.list(); err == nil {
			return
		}
	}
	t.halt("Update does not work")
	t.failNow("Return nil when the list is complete. An error means that it may not be, and nothing can be concluded from it.", "Update failed three times: %v", err)
}

func (t *trial) connectUnknown() {
	info, err := t.connect(t.ctx, unknownID)
	switch kind := provider.KindOf(err); {
	case err == nil:
		t.fail("Look the id up, and return an error of provider.KindNotFound if the group does not have it.", "ConnectInfo of an id that no group has answered address %q without an error", info.ExternalAddr+info.InternalAddr)
	case kind != provider.KindNotFound:
		t.fail("Return provider.Errorf(provider.KindNotFound, …) when the provider does not know the id.", "ConnectInfo of an id that no group has returned an error of kind %v: %v", kind, err)
	}
}

func (t *trial) heartbeater() provider.Heartbeater {
	h, ok := t.group.(provider.Heartbeater)
	if !ok || !t.can(provider.CapabilityHeartbeat) {
		skip("the group has no heartbeat")
	}
	return h
}

func (t *trial) beat(ctx context.Context, h provider.Heartbeater, id string) error {
	_, err := attempt(ctx, t.session, "Heartbeat", func(ctx context.Context) (struct{}, error) { return struct{}{}, h.Heartbeat(ctx, id) })
	if err != nil && !broken(err) && ctx.Err() == nil {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return err
}

func (t *trial) heartbeatUnknown() {
	err := t.beat(t.ctx, t.heartbeater(), unknownID)
	if err == nil || provider.KindOf(err) == provider.KindUnhealthy {
		t.fail("Return an error of provider.KindNotFound: only a machine that you know can be healthy or unhealthy.", "Heartbeat of an id that no group has returned %v", orNil(err))
	}
}

func orNil(err error) string {
	if err == nil {
		return "nil"
	}
	kind := provider.KindOf(err).String()
	return fmt.Sprintf("an error of kind %s: %s", kind, cut(strings.TrimPrefix(err.Error(), kind+": ")))
}

// cut shortens the text of an error: some SDKs put a whole answer into it.
func cut(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// cancelledReads makes the calls that change nothing with contexts that have ended, or end meanwhile.
func (t *trial) cancelledReads() {
	t.mustList()
	before := t.pick(isPresent)
	ended, cancel := context.WithCancel(t.ctx)
	cancel()
	late, cancelLate := context.WithDeadline(t.ctx, time.Now().Add(-time.Second))
	defer cancelLate()
	for _, c := range []struct {
		name string
		ctx  context.Context
	}{{"that was cancelled", ended}, {"whose deadline is over", late}} {
		t.cancelledUpdate(c.ctx, c.name, before, func() {})
		t.cancelledOne(c.ctx, c.name)
	}
	middle, cancelMiddle := context.WithCancel(t.ctx)
	defer cancelMiddle()
	t.cancelledUpdate(middle, "that was cancelled in the middle of the list", before, cancelMiddle)
}

// cancelledUpdate lists with a context that has ended, or ends at the first report. Without an error the list must be complete.
func (t *trial) cancelledUpdate(ctx context.Context, name string, before []string, atFirst func()) {
	entries, err := attempt(ctx, t.session, "Update", func(ctx context.Context) ([]entry, error) {
		return update(ctx, cancelling{t.group, atFirst})
	})
	if broken(err) {
		cannot("%s", err.Error())
	}
	if err != nil {
		t.transient("Update with a context "+name, err)
		return
	}
	for _, id := range before {
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.id == id }) {
			t.failNow("Return ctx.Err() when the context ended before the list was complete.", "Update with a context %s returned nil without %q", name, id)
		}
	}
}

// cancelling calls a function at each report of Update.
type cancelling struct {
	provider.InstanceGroup
	f func()
}

func (c cancelling) Update(ctx context.Context, report func(string, provider.State)) error {
	return c.InstanceGroup.Update(ctx, func(id string, s provider.State) {
		report(id, s)
		c.f()
	})
}

// cancelledOne makes the calls for one machine with a context that has ended.
func (t *trial) cancelledOne(ctx context.Context, name string) {
	ids := t.pick(func(m *machine) bool { return isPresent(m) && m.state == provider.StateRunning })
	if len(ids) == 0 {
		return
	}
	if _, err := t.connect(ctx, ids[0]); err != nil {
		t.transient("ConnectInfo with a context "+name, err)
	}
	if h, ok := t.group.(provider.Heartbeater); ok && t.can(provider.CapabilityHeartbeat) {
		if err := t.beat(ctx, h, ids[0]); err != nil {
			t.transient("Heartbeat with a context "+name, err)
		}
	}
}

// transient fails the check if the error of a call that was given up says more than that. Throttled says that the provider was not asked, as
// provider.Serial does.
func (t *trial) transient(what string, err error) {
	if kind := provider.KindOf(err); kind != failure.None && kind != provider.KindTransient && kind != provider.KindThrottled {
		t.fail("Return ctx.Err() as it is when the context ended: it says nothing about the machine or the account.", "%s returned an error of kind %v: %v", what, kind, err)
	}
}

// reopen opens a further handle of the group.
func (t *trial) reopen(settings provider.Settings) Handle {
	r, ok := t.target.(Reopener)
	if !ok {
		skip("the group cannot be opened again")
	}
	h, err := attempt(t.ctx, t.session, "Init", func(ctx context.Context) (Handle, error) { return r.Reopen(ctx, settings) })
	if err != nil {
		cannot("the group could not be opened again: %v", err)
	}
	return h
}

// drop ends a further handle. It must not call Shutdown while machines are there: the checks of Shutdown are others. So a handle that cannot be killed
// is kept until the end.
func (t *trial) drop(h Handle) {
	if k, ok := h.(Killer); ok {
		_ = k.Kill(t.ctx)
		return
	}
	t.memo.spare = append(t.memo.spare, h)
}

func (t *trial) sameID() {
	h := t.reopen(t.o.Settings)
	defer t.drop(h)
	if again := h.Info().ID; again != t.info.ID {
		t.fail("Make ProviderInfo.ID of what names the group, and of nothing that changes with a start.", "ProviderInfo.ID was %q, and is %q at the second start", t.info.ID, again)
	}
}
