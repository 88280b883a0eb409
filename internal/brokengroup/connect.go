package brokengroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// ConnectInfo implements provider.InstanceGroup.
func (g *Group) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	done, err := g.alone()
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	defer done()
	info, err := g.Memory.ConnectInfo(ctx, id)
	switch kind := provider.KindOf(err); {
	case g.is("connect-panics"):
		panic("invalid memory address")
	case g.is("connect-blocks"):
		g.block()
	case kind == provider.KindNotFound && g.is("connect-unknown-any"):
		return provider.ConnectInfo{ID: id, InternalAddr: "10.0.0.1"}, nil
	case kind == provider.KindNotFound && g.is("connect-unknown-plain"):
		return info, errors.New("HTTP 404")
	case kind == provider.KindNotFound && g.is("kind-no-text"):
		return info, &provider.Error{Kind: provider.KindNotFound}
	case err == nil && g.is("connect-fails"):
		return provider.ConnectInfo{}, provider.Errorf(provider.KindNotFound, "there is no machine %q", id)
	case err == nil && g.is("connect-exits"):
		os.Exit(3)
	}
	if err != nil {
		return info, err
	}
	if g.is("state-early") && g.early(id) {
		return provider.ConnectInfo{}, fmt.Errorf("machine %s has no address yet", id)
	}
	if info.Password == "" {
		info.Password = Password
	}
	info.HostKeys = []string{HostKey}
	g.spoilLogin(&info)
	g.spoilPlace(&info)
	return info, nil
}

// early reports whether the machine was asked for at most twice.
func (g *Group) early(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count[id]++
	return g.count[id] <= 2
}

func (g *Group) spoilLogin(info *provider.ConnectInfo) {
	switch g.fault() {
	case "connect-user":
		info.Username = "ubuntu"
	case "connect-password":
		info.Password = Password
	case "connect-key":
		info.Key = []byte("-----BEGIN PRIVATE KEY-----")
	case "connect-port":
		info.ProtocolPort = 22
	case "connect-timeout":
		info.Timeout = 0
	case "connect-wrong-password":
		if info.Password == Password {
			info.Password = "another"
		}
	}
}

func (g *Group) spoilPlace(info *provider.ConnectInfo) {
	switch g.fault() {
	case "connect-other-id":
		info.ID = "m-9999"
	case "connect-bad-port":
		if info.ProtocolPort == 22 {
			info.ProtocolPort = 70000
		}
	case "connect-expired":
		past := time.Now().Add(-time.Hour)
		info.Expires = &past
	case "connect-no-address":
		info.ExternalAddr, info.InternalAddr = "", ""
	case "connect-url":
		info.ExternalAddr = "https://203.0.113.1:22/"
	case "connect-bad-host-key":
		info.HostKeys = []string{"SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDSHDqtlzbnsmuwnKE"}
	case "connect-wrong-host-key":
		info.HostKeys = []string{otherKey}
	}
}

// Heartbeat implements provider.Heartbeater.
func (g *Group) Heartbeat(ctx context.Context, id string) error {
	if g.is("heartbeat-panics") {
		panic("nil pointer")
	}
	err := g.Memory.Heartbeat(ctx, id)
	switch kind := provider.KindOf(err); {
	case err == nil && g.is("heartbeat-never"),
		kind == provider.KindNotFound && g.is("heartbeat-unknown"),
		ctx.Err() != nil && g.is("heartbeat-cancelled"):
		return provider.ErrInstanceUnhealthy
	case kind == provider.KindUnhealthy && g.is("heartbeat-always"):
		return nil
	case kind == provider.KindNotFound && g.is("kind-unknown"):
		return &provider.Error{Kind: 99, Err: err}
	}
	return err
}
