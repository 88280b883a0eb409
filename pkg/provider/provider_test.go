package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestKindOf(t *testing.T) {
	quota := provider.Errorf(provider.KindQuota, "limit %d", 3)
	for _, c := range []struct {
		name string
		err  error
		want provider.FailureKind
	}{
		{"nil", nil, failure.None},
		{"plain", errors.New("x"), provider.KindTransient},
		{"typed", quota, provider.KindQuota},
		{"wrapped", fmt.Errorf("growing: %w", quota), provider.KindQuota},
		{"joined", errors.Join(errors.New("x"), quota), provider.KindQuota},
		{"the first of two", &provider.Error{Kind: provider.KindConfig, Err: quota}, provider.KindConfig},
		{"unhealthy", provider.ErrInstanceUnhealthy, provider.KindUnhealthy},
		{"unhealthy wrapped", fmt.Errorf("%w: disk", provider.ErrInstanceUnhealthy), provider.KindUnhealthy},
		{"deadline", context.DeadlineExceeded, provider.KindTransient},
	} {
		if got := provider.KindOf(c.err); got != c.want {
			t.Errorf("%s: KindOf(%v) = %v, want %v", c.name, c.err, got, c.want)
		}
	}
}

func TestFailureOf(t *testing.T) {
	if got := provider.FailureOf(nil); got.Failed() || got != (failure.Failure{}) {
		t.Errorf("FailureOf(nil) = %+v", got)
	}
	throttled := &provider.Error{Kind: provider.KindThrottled, RetryAfter: 9 * time.Second, Err: errors.New("slow down")}
	want := failure.Failure{Kind: provider.KindThrottled, RetryAfter: 9 * time.Second, Message: "listing: throttled: slow down"}
	if got := provider.FailureOf(fmt.Errorf("listing: %w", throttled)); got != want {
		t.Errorf("FailureOf = %+v, want %+v", got, want)
	}
	if got := provider.FailureOf(fmt.Errorf("listing: %w", context.Canceled)); !strings.HasPrefix(got.Message, "cancelled: ") {
		t.Errorf("a cancelled call reads %q", got.Message)
	}
	long := provider.FailureOf(provider.Errorf(provider.KindQuota, "create:\n\x1b[2J%s\nused up", strings.Repeat("caf\xe9", 1000)))
	if !strings.Contains(long.Message, `: create: \x1b[2Jcaf\xe9`) || !strings.HasSuffix(long.Message, `\xe9 used up`) || len(long.Message) > 512 {
		t.Errorf("a text of any bytes reads %q", long.Message)
	}
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"i-0123", "/subscriptions/1/machines/größe 3"} {
		if err := provider.CheckID(id); err != nil {
			t.Errorf("%q %v", id, err)
		}
	}
	for _, id := range []string{"", " ", "a\nb", "caf\xe9", strings.Repeat("x", 513)} {
		if provider.CheckID(id) == nil {
			t.Errorf("%q can be used", id)
		}
	}
}

type bare struct{ provider.InstanceGroup }

type able struct{ bare }

func (able) Heartbeat(context.Context, string) error                  { return nil }
func (able) Suspend(context.Context, []string) ([]string, error)      { return nil, nil }
func (able) Resume(_ context.Context, ids []string) ([]string, error) { return ids, nil }

type proxy struct{ able }

func (proxy) Capabilities() []provider.Capability {
	return []provider.Capability{provider.CapabilityHeartbeat}
}

func TestCapabilitiesOf(t *testing.T) {
	for _, c := range []struct {
		group provider.InstanceGroup
		want  string
	}{{bare{}, "[]"}, {able{}, "[heartbeat suspend_resume]"}, {proxy{}, "[heartbeat]"}} {
		if got := fmt.Sprint(provider.CapabilitiesOf(c.group)); got != c.want {
			t.Errorf("CapabilitiesOf(%T) = %v, want %v", c.group, got, c.want)
		}
	}
}

// What Init says about the capabilities counts more than the methods, but a method that is missing cannot be claimed.
func TestCapabilitiesThatInitSays(t *testing.T) {
	both := []provider.Capability{provider.CapabilityHeartbeat, provider.CapabilitySuspendResume}
	for _, c := range []struct {
		group provider.InstanceGroup
		says  []provider.Capability
		want  string
	}{
		{able{}, nil, "[heartbeat suspend_resume]"}, {able{}, both[:1], "[heartbeat]"}, {able{}, both[:0], "[]"}, {bare{}, both, "[]"}, {proxy{}, both, "[heartbeat]"},
	} {
		if got := fmt.Sprint(provider.ProviderInfo{Capabilities: c.says}.CapabilitiesOf(c.group)); got != c.want {
			t.Errorf("Init of %T says %v: %v, want %v", c.group, c.says, got, c.want)
		}
	}
}

func TestDefaultProtocolPort(t *testing.T) {
	for p, want := range map[provider.Protocol]int{
		"": 22, provider.ProtocolSSH: 22, provider.ProtocolWinRM: 5985, provider.ProtocolWinRMHTTPS: 5986, "telnet": 0,
	} {
		if got := provider.DefaultProtocolPort(p); got != want {
			t.Errorf("DefaultProtocolPort(%q) = %d, want %d", p, got, want)
		}
		if got, listed := provider.DefaultProtocolPorts[p]; listed && got != want || listed == (p == "" || p == "telnet") {
			t.Errorf("DefaultProtocolPorts[%q] = %d, %v", p, got, listed)
		}
	}
}
