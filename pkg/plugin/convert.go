package plugin

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// remoteError is the text of an error of the other process, and the error value that it wraps, if any.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

func failureToWire(err error) *pb.Failure {
	if err == nil {
		return nil
	}
	kind := provider.KindOf(err)
	f := &pb.Failure{Kind: kind.String(), Message: strings.TrimPrefix(err.Error(), kind.String()+": ")}
	var e *provider.Error
	if errors.As(err, &e) {
		f.RetryAfterNs = int64(e.RetryAfter)
	}
	switch {
	case errors.Is(err, provider.ErrInstanceUnhealthy):
		f.Sentinel = pb.Sentinel_SENTINEL_INSTANCE_UNHEALTHY
	case errors.Is(err, provider.ErrSuspendResumeNotSupported):
		f.Sentinel = pb.Sentinel_SENTINEL_SUSPEND_RESUME_NOT_SUPPORTED
	}
	return f
}

// failureFromWire returns nil for no failure. redact removes secrets from the text.
func failureFromWire(f *pb.Failure, redact func(string) string) error {
	if f == nil {
		return nil
	}
	kind := failure.Parse(f.GetKind())
	if kind == failure.None {
		kind = provider.KindTransient // a failure without a kind: transient assumes nothing
	}
	remote := &remoteError{text: redact(f.GetMessage())}
	switch f.GetSentinel() {
	case pb.Sentinel_SENTINEL_INSTANCE_UNHEALTHY:
		remote.is = provider.ErrInstanceUnhealthy
	case pb.Sentinel_SENTINEL_SUSPEND_RESUME_NOT_SUPPORTED:
		remote.is = provider.ErrSuspendResumeNotSupported
	}
	if remote.text == "" {
		remote.text = "the plugin gave no reason"
	}
	return &provider.Error{Kind: kind, RetryAfter: max(0, time.Duration(f.GetRetryAfterNs())), Err: remote}
}

func connectorToWire(c provider.ConnectorConfig) *pb.ConnectorConfig {
	return &pb.ConnectorConfig{
		Os: c.OS, Arch: c.Arch, Protocol: string(c.Protocol), ProtocolPort: clamp32(c.ProtocolPort), Username: c.Username,
		Password: c.Password, Key: c.Key, UseStaticCredentials: c.UseStaticCredentials, KeepaliveNs: int64(c.Keepalive),
		TimeoutNs: int64(c.Timeout),
	}
}

func connectorFromWire(c *pb.ConnectorConfig) provider.ConnectorConfig {
	return provider.ConnectorConfig{
		OS: c.GetOs(), Arch: c.GetArch(), Protocol: provider.Protocol(c.GetProtocol()), ProtocolPort: int(c.GetProtocolPort()),
		Username: c.GetUsername(), Password: c.GetPassword(), Key: c.GetKey(), UseStaticCredentials: c.GetUseStaticCredentials(),
		Keepalive: time.Duration(c.GetKeepaliveNs()), Timeout: time.Duration(c.GetTimeoutNs()),
	}
}

func connectInfoToWire(c provider.ConnectInfo) *pb.ConnectInfoResponse {
	r := &pb.ConnectInfoResponse{
		Connector: connectorToWire(c.ConnectorConfig), Id: c.ID, ExternalAddr: c.ExternalAddr, InternalAddr: c.InternalAddr,
		HostKeys: c.HostKeys,
	}
	if c.Expires != nil {
		r.Expires = &pb.Time{Seconds: c.Expires.Unix(), Nanos: int32(c.Expires.Nanosecond())}
	}
	return r
}

func connectInfoFromWire(r *pb.ConnectInfoResponse) provider.ConnectInfo {
	c := provider.ConnectInfo{
		ConnectorConfig: connectorFromWire(r.GetConnector()), ID: r.GetId(), ExternalAddr: r.GetExternalAddr(),
		InternalAddr: r.GetInternalAddr(), HostKeys: r.GetHostKeys(),
	}
	if t := r.GetExpires(); t != nil {
		at := time.Unix(t.GetSeconds(), int64(t.GetNanos())).UTC()
		c.Expires = &at
	}
	return c
}

func infoToWire(i provider.ProviderInfo, caps []provider.Capability) *pb.InitResponse {
	r := &pb.InitResponse{Id: i.ID, MaxSize: int64(i.MaxSize), Version: i.Version, BuildInfo: i.BuildInfo}
	for _, c := range caps {
		r.Capabilities = append(r.Capabilities, string(c))
	}
	return r
}

func infoFromWire(r *pb.InitResponse) provider.ProviderInfo {
	i := provider.ProviderInfo{
		ID: r.GetId(), MaxSize: int(min(r.GetMaxSize(), math.MaxInt)), Version: r.GetVersion(), BuildInfo: r.GetBuildInfo(),
	}
	for _, c := range r.GetCapabilities() {
		i.Capabilities = append(i.Capabilities, provider.Capability(c))
	}
	return i
}

func clamp32(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }
