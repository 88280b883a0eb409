package plugin

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func same(s string) string { return s }

func TestFailureRoundTrip(t *testing.T) {
	for kind := provider.KindTransient; kind <= provider.KindUnhealthy; kind++ {
		for _, err := range []error{
			provider.Errorf(kind, "some reason"),
			&provider.Error{Kind: kind, RetryAfter: time.Hour, Err: errors.New("some reason")},
			fmt.Errorf("outer: %w", provider.Errorf(kind, "some reason")),
		} {
			got, want := provider.FailureOf(failureFromWire(failureToWire(err), same)), provider.FailureOf(err)
			if got.Kind != want.Kind || got.RetryAfter != want.RetryAfter || !strings.HasSuffix(got.Message, "some reason") {
				t.Errorf("%v came as %+v, want %+v", err, got, want)
			}
		}
	}
	for _, sentinel := range []error{provider.ErrInstanceUnhealthy, provider.ErrSuspendResumeNotSupported} {
		if got := failureFromWire(failureToWire(fmt.Errorf("x: %w", sentinel)), same); !errors.Is(got, sentinel) {
			t.Errorf("%v came as %v", sentinel, got)
		}
	}
	if err := failureFromWire(failureToWire(nil), same); err != nil {
		t.Errorf("nil came as %v", err)
	}
}

// A plugin that is newer, or mad, does no harm.
func TestFailureFromAStranger(t *testing.T) {
	for _, f := range []*pb.Failure{{}, {Kind: "none"}, {Kind: "of a later version"}, {Kind: "transient", RetryAfterNs: -5, Sentinel: 99}} {
		err := failureFromWire(f, same)
		if err == nil || provider.KindOf(err) != provider.KindTransient || provider.FailureOf(err).RetryAfter != 0 {
			t.Errorf("%v came as %v", f, err)
		}
	}
}

func TestConnectInfoRoundTrip(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		s := draw.StringOf(draw.Rune(), 0, 8)
		c := provider.ConnectInfo{
			ConnectorConfig: provider.ConnectorConfig{
				OS: s.Draw(t, "os"), Arch: s.Draw(t, "arch"), Protocol: provider.Protocol(s.Draw(t, "protocol")),
				ProtocolPort: draw.Range(0, math.MaxInt32).Draw(t, "port"), Username: s.Draw(t, "user"), Password: s.Draw(t, "password"),
				Key: draw.Slice(draw.Byte(), 1, 8).Draw(t, "key"), UseStaticCredentials: draw.Bool().Draw(t, "static"),
				Keepalive: time.Duration(draw.Int64().Draw(t, "keepalive")), Timeout: time.Duration(draw.Int64().Draw(t, "timeout")),
			},
			ID: s.Draw(t, "id"), ExternalAddr: s.Draw(t, "external"), InternalAddr: s.Draw(t, "internal"),
			HostKeys: draw.Slice(s, 1, 3).Draw(t, "keys"),
		}
		if draw.Bool().Draw(t, "expires") {
			at := time.Unix(draw.Range[int64](-1<<40, 1<<40).Draw(t, "s"), draw.Range[int64](0, 999_999_999).Draw(t, "ns")).UTC()
			c.Expires = &at
		}
		if got := connectInfoFromWire(connectInfoToWire(c)); !reflect.DeepEqual(got, c) {
			t.Fatalf("%#v came as %#v", c, got)
		}
	})
}

func TestProviderInfoRoundTrip(t *testing.T) {
	want := provider.ProviderInfo{
		ID: "x", MaxSize: math.MaxInt, Version: "1", BuildInfo: "b", Capabilities: []provider.Capability{provider.CapabilityHeartbeat},
	}
	if got := infoFromWire(infoToWire(want, want.Capabilities)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v came as %+v", want, got)
	}
}

// Every kind has a name of its own, which the wire carries.
func TestKindsHaveNames(t *testing.T) {
	for kind := failure.None; kind <= failure.Unhealthy; kind++ {
		if got := failure.Parse(kind.String()); got != kind {
			t.Errorf("%v came as %v", kind, got)
		}
	}
}
