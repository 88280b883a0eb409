package providertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const unknownID = "taskscaler-providertest-no-such-instance"

func (s suite) initInfo(t *testing.T) {
	g, info := s.open(t)
	if info.ID == "" {
		t.Error("ProviderInfo.ID is empty: state cannot be bound to the group")
	}
	if info.MaxSize < 0 {
		t.Errorf("ProviderInfo.MaxSize is %d", info.MaxSize)
	}
	if s.Reopen == nil {
		return
	}
	s.close(t, g)
	if _, again := s.initialise(t, s.Reopen(t, g)); again.ID != info.ID {
		t.Errorf("ProviderInfo.ID of the same group changed from %q to %q", info.ID, again.ID)
	}
}

func (s suite) updateComplete(t *testing.T) {
	g, _ := s.open(t)
	if !s.Fixed {
		s.grow(t, g, min(2, s.Machines))
	}
	first, second := present(s.list(t, g)), present(s.list(t, g))
	if !slices.Equal(first, second) {
		t.Errorf("two lists of an unchanged group differ: %v and %v", first, second)
	}
	if len(first) == 0 {
		t.Error("Update lists nothing")
	}
}

func (s suite) connectInfo(t *testing.T) {
	g, _ := s.open(t)
	id := s.running(t, g)
	info := s.info(t, g, id)
	if info.ID != id {
		t.Errorf("ConnectInfo(%q).ID is %q", id, info.ID)
	}
	if info.ExternalAddr == "" && info.InternalAddr == "" {
		t.Error("ConnectInfo has no address")
	}
	if info.Expires != nil && info.Expires.Before(time.Now().Add(-time.Minute)) {
		t.Errorf("the credentials expired at %v", info.Expires)
	}
	switch info.Protocol {
	case "", provider.ProtocolSSH, provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
	default:
		t.Errorf("unknown protocol %q", info.Protocol)
	}
}

func (s suite) info(t *testing.T, g provider.InstanceGroup, id string) provider.ConnectInfo {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	info, err := g.ConnectInfo(ctx, id)
	if err != nil {
		t.Fatalf("ConnectInfo(%q): %v", id, err)
	}
	return info
}

func (s suite) connectInfoPreset(t *testing.T) {
	var want provider.ConnectorConfig
	g, _ := s.open(t, func(settings *provider.Settings) {
		want = settings.ConnectorConfig
		want.Arch, want.Username, want.Protocol, want.ProtocolPort = "riscv64", "operator", provider.ProtocolSSH, 2222
		want.Keepalive, want.Timeout, want.UseStaticCredentials = 41*time.Second, 43*time.Second, true
		if want.Password == "" {
			want.Password = "the-operators-own"
		}
		settings.ConnectorConfig = want
	})
	got := s.info(t, g, s.running(t, g)).ConnectorConfig
	if got.Arch != want.Arch || got.Username != want.Username || got.Protocol != want.Protocol || got.ProtocolPort != want.ProtocolPort ||
		got.Keepalive != want.Keepalive || got.Timeout != want.Timeout || got.UseStaticCredentials != want.UseStaticCredentials {
		t.Errorf("ConnectInfo changed what the operator set: got %v, want %v", got, want)
	}
	if got.Password != want.Password {
		t.Error("ConnectInfo changed the password that the operator set")
	}
}

func (s suite) connectInfoUnknown(t *testing.T) {
	g, _ := s.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	if _, err := g.ConnectInfo(ctx, unknownID); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("ConnectInfo of an unknown id: kind %v (%v), want not_found", provider.KindOf(err), err)
	}
}

func (s suite) heartbeat(t *testing.T) {
	g, info := s.open(t)
	h, ok := g.(provider.Heartbeater)
	if !ok || !slices.Contains(info.CapabilitiesOf(g), provider.CapabilityHeartbeat) {
		t.Skip("the group has no heartbeat")
	}
	id := s.running(t, g)
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	if err := h.Heartbeat(ctx, id); err != nil {
		t.Errorf("Heartbeat of a healthy instance: %v", err)
	}
	if err := h.Heartbeat(ctx, unknownID); err == nil || provider.KindOf(err) == provider.KindUnhealthy {
		t.Errorf("Heartbeat of an unknown id: %v; want an error that says nothing about health", err)
	}
	if s.Sicken == nil {
		t.Log("not checked: an unhealthy instance (no Options.Sicken)")
		return
	}
	if err := s.Sicken(ctx, g, id); err != nil {
		t.Fatalf("Sicken: %v", err)
	}
	if err := h.Heartbeat(ctx, id); provider.KindOf(err) != provider.KindUnhealthy {
		t.Errorf("Heartbeat of an unhealthy instance: kind %v (%v)", provider.KindOf(err), err)
	}
}

func (s suite) capabilities(t *testing.T) {
	g, info := s.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	caps := info.CapabilitiesOf(g)
	if _, ok := g.(provider.Heartbeater); !ok && slices.Contains(caps, provider.CapabilityHeartbeat) {
		t.Error("heartbeat is claimed without its method")
	}
	sus, ok := g.(provider.Suspender)
	switch {
	case !ok && slices.Contains(caps, provider.CapabilitySuspendResume):
		t.Error("suspend_resume is claimed without its methods")
	case ok && !slices.Contains(caps, provider.CapabilitySuspendResume):
		for _, f := range []func(context.Context, []string) ([]string, error){sus.Suspend, sus.Resume} {
			if _, err := f(ctx, []string{unknownID}); !errors.Is(err, provider.ErrSuspendResumeNotSupported) {
				t.Errorf("without the capability suspend_resume, the method returned %v", err)
			}
		}
	}
	if h, ok := g.(provider.Heartbeater); ok && !slices.Contains(caps, provider.CapabilityHeartbeat) {
		if err := h.Heartbeat(ctx, unknownID); provider.KindOf(err) == provider.KindUnhealthy {
			t.Error("a group without heartbeat calls an instance unhealthy")
		}
	}
}

// cancelled calls every method with a context that has ended. Each call must return soon, with or without an error.
func (s suite) cancelled(t *testing.T) {
	g, _ := s.open(t)
	id := s.running(t, g)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Update":      func() error { return g.Update(ended, func(string, provider.State) {}) },
		"ConnectInfo": func() error { _, err := g.ConnectInfo(ended, id); return err },
	}
	if !s.Fixed {
		calls["Increase"] = func() error {
			n, err := g.Increase(ended, 1)
			if n == 0 && err == nil {
				t.Error("Increase accepted nothing and gave no reason")
			}
			return err
		}
		calls["Decrease"] = func() error { _, err := g.Decrease(ended, []string{unknownID}); return err }
	}
	if h, ok := g.(provider.Heartbeater); ok {
		calls["Heartbeat"] = func() error {
			err := h.Heartbeat(ended, id)
			if provider.KindOf(err) == provider.KindUnhealthy {
				t.Error("Heartbeat: a call that was given up says that the instance is unhealthy")
			}
			return err
		}
	}
	for name, f := range calls {
		if err, ok := s.returns(f); !ok {
			t.Errorf("%s did not return within %v after its context had ended", name, s.Give)
		} else if kind := provider.KindOf(err); kind != failure.None && kind != provider.KindTransient && kind != provider.KindThrottled {
			t.Errorf("%s with an ended context: kind %v (%v), want transient, or throttled if the provider was not asked", name, kind, err)
		}
	}
}

// returns returns the result of f, or false if f takes longer than Give.
func (s suite) returns(f func() error) (error, bool) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err, true
	case <-time.After(s.Give):
		return nil, false
	}
}
