package plugin

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Limits of what a plugin sends, in bytes. The host shows less; it cuts after it has removed the secrets, so that it leaves no part of one.
const (
	maxSentText  = 16 << 10
	maxSentState = 64
	maxAbout     = 1 << 10 // a version or build info in the host
)

// sentText returns s as a text that can be sent. A text that is not UTF-8 breaks the whole answer, and with it what succeeded.
func sentText(s string) string { return safetext.UTF8(s, maxSentText) }

// sentName is sentText for an id, which is never cut: the host must not take it for another one. Bytes that are not UTF-8 become U+FFFD, by which
// the host knows that it cannot use the id.
func sentName(id string) string { return strings.ToValidUTF8(id, string(utf8.RuneError)) }

func sentNames(ids []string) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = sentName(id)
	}
	return names
}

// remoteError is the text of an error of the other process, and the error value that it wraps, if any.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// failureToWire returns nil for no error. An error value whose methods panic, such as a nil pointer of an error type, is a failure without a text.
func failureToWire(err error) (f *pb.Failure) {
	if err == nil {
		return nil
	}
	defer func() {
		if recover() != nil {
			f = &pb.Failure{Kind: provider.KindTransient.String(), Message: fmt.Sprintf("an error of type %T, which cannot be read: this is a bug in the plugin", err)}
		}
	}()
	kind := provider.KindOf(err)
	f = &pb.Failure{Kind: kind.String(), Message: sentText(strings.TrimPrefix(err.Error(), kind.String()+": "))}
	var e *provider.Error
	if errors.As(err, &e) && e != nil {
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

// failureFromWire returns nil for no failure. redact removes secrets from the text, which becomes one bounded line.
func failureFromWire(f *pb.Failure, redact func(string) string) error {
	if f == nil {
		return nil
	}
	kind := failure.Parse(f.GetKind())
	if kind == failure.None {
		kind = provider.KindTransient // a failure without a kind: transient assumes nothing
	}
	remote := &remoteError{text: heard(f.GetMessage(), redact)}
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

// heard returns a text of the plugin as one bounded line without secrets.
func heard(sent string, redact func(string) string) string {
	text := redact(sent)
	if len(sent) > maxSentText-utf8.UTFMax { // it was cut at its end, perhaps in the middle of a secret
		text = text[:len(text)/2]
	}
	return safetext.Line(text, safetext.MaxReport)
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

// checkConnector returns an error that names the first field of c that cannot be sent, because it is not UTF-8. It shows no value.
func checkConnector(c provider.ConnectorConfig) error {
	return checkTexts([]field{{"os", c.OS}, {"arch", c.Arch}, {"protocol", string(c.Protocol)}, {"username", c.Username}, {"password", c.Password}})
}

func checkConnectInfo(c provider.ConnectInfo) error {
	if err := checkConnector(c.ConnectorConfig); err != nil {
		return err
	}
	fields := []field{{"id", c.ID}, {"external_addr", c.ExternalAddr}, {"internal_addr", c.InternalAddr}}
	for _, key := range c.HostKeys {
		fields = append(fields, field{"host_keys", key})
	}
	return checkTexts(fields)
}

// field is a text with its name.
type field struct{ name, text string }

func checkTexts(fields []field) error {
	for _, f := range fields {
		if !utf8.ValidString(f.text) {
			return provider.Errorf(provider.KindConfig, "%s is not valid UTF-8", f.name)
		}
	}
	return nil
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
	r := &pb.InitResponse{Id: sentName(i.ID), MaxSize: int64(i.MaxSize), Version: sentText(i.Version), BuildInfo: sentText(i.BuildInfo)}
	for _, c := range caps {
		r.Capabilities = append(r.Capabilities, sentName(string(c)))
	}
	return r
}

func infoFromWire(r *pb.InitResponse) provider.ProviderInfo {
	i := provider.ProviderInfo{
		ID: r.GetId(), MaxSize: int(min(r.GetMaxSize(), math.MaxInt)), Version: safetext.Line(r.GetVersion(), maxAbout),
		BuildInfo: safetext.Line(r.GetBuildInfo(), maxAbout),
	}
	for _, c := range r.GetCapabilities()[:min(len(r.GetCapabilities()), maxCapabilities)] {
		i.Capabilities = append(i.Capabilities, provider.Capability(safetext.Line(c, maxSentState)))
	}
	return i
}

func clamp32(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }
