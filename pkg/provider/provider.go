package provider

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"
)

// InstanceGroup is one group of machines of one provider.
//
// Methods may be called from several goroutines at once after Init has returned, and each must give up when its context ends. A
// failure is an [*Error] where its kind is known; any other error counts as [KindTransient].
type InstanceGroup interface {
	// Init connects to the group. It is called once, before anything else, after the configuration was unmarshalled into the
	// receiver. It may find a populated group: those instances are then reported by Update. A configuration that can never work is
	// an error of KindConfig.
	Init(ctx context.Context, log hclog.Logger, settings Settings) (ProviderInfo, error)

	// Update reports every instance of the group by calling update once for each, and returns nil only when the list was complete.
	// With an error, what was reported before it must not be taken for the whole. An instance that is gone is simply not reported.
	Update(ctx context.Context, update func(id string, state State)) error

	// Increase asks for delta more instances (delta > 0) and returns how many the provider accepted. Both may be set: succeeded
	// instances are on their way, and err says why the rest are not. It does not wait for a boot.
	Increase(ctx context.Context, delta int) (succeeded int, err error)

	// Decrease asks for the removal of exactly these instances and returns the ids whose removal was accepted. An id that is already
	// gone counts as removed. An empty list is nil, nil. It is repeated until Update no longer reports the instance.
	Decrease(ctx context.Context, ids []string) (succeeded []string, err error)

	// ConnectInfo says how to reach an instance that Update reported as running. It starts from Settings.ConnectorConfig and fills
	// only what is empty. An unknown id is an error of KindNotFound.
	ConnectInfo(ctx context.Context, id string) (ConnectInfo, error)

	// Shutdown releases what Init took. It removes no instance and is the last call.
	Shutdown(ctx context.Context) error
}

// Heartbeater is implemented by a group that can tell whether a machine is still fit for work.
type Heartbeater interface {
	// Heartbeat returns nil for a healthy instance and an error of KindUnhealthy (or ErrInstanceUnhealthy) for one that must not be
	// used again. Any other error counts towards failure_threshold, one of KindThrottled and ErrAway not at all.
	Heartbeat(ctx context.Context, id string) error
}

// Suspender is implemented by a group that can suspend machines and resume them.
type Suspender interface {
	// Suspend asks for these running instances to be suspended and returns those accepted.
	Suspend(ctx context.Context, ids []string) (succeeded []string, err error)
	// Resume asks for these suspended instances to run again and returns those accepted.
	Resume(ctx context.Context, ids []string) (succeeded []string, err error)
}

// State is the provider's word for where an instance is in its life.
type State string

// The states that Update may report. A state that is not one of these counts as StateCreating: not usable, not gone.
const (
	StateCreating   State = "creating"
	StateRunning    State = "running"
	StateDeleting   State = "deleting"
	StateDeleted    State = "deleted"
	StateTimeout    State = "timeout" // the provider gave up on it; it still has to be removed
	StateSuspending State = "suspending"
	StateSuspended  State = "suspended"
	StateResuming   State = "resuming"
)

// Capability is something a group can do beyond the required methods.
type Capability string

// The capabilities that exist.
const (
	CapabilityHeartbeat     Capability = "heartbeat"
	CapabilitySuspendResume Capability = "suspend_resume"
)

// ProviderInfo is what Init learned about the group.
type ProviderInfo struct {
	ID           string       // which group this is, e.g. "aws/eu-west-1/my-asg"; state is bound to it
	MaxSize      int          // the most instances the group can hold; may be math.MaxInt; 0 means unknown, that is no limit
	Version      string       // the plugin's version
	BuildInfo    string       // where the plugin's binary comes from
	Capabilities []Capability // filled in by CapabilitiesOf; an implementation need not set it
}

// CapabilitiesOf is the only way to ask what g can do. A type that forwards to another process (which has every method) says so
// itself, by a method Capabilities() []Capability; any other type is asked by type assertion.
func CapabilitiesOf(g InstanceGroup) []Capability {
	if c, ok := g.(interface{ Capabilities() []Capability }); ok {
		return c.Capabilities()
	}
	var caps []Capability
	if _, ok := g.(Heartbeater); ok {
		caps = append(caps, CapabilityHeartbeat)
	}
	if _, ok := g.(Suspender); ok {
		caps = append(caps, CapabilitySuspendResume)
	}
	return caps
}

// Protocol is how an instance is reached.
type Protocol string

// The protocols. Empty means ssh, or winrm where the operating system is windows.
const (
	ProtocolSSH        Protocol = "ssh"
	ProtocolWinRM      Protocol = "winrm"
	ProtocolWinRMHTTPS Protocol = "winrm+https"
)

// DefaultProtocolPort returns the port a protocol uses when none is set, or 0 for an unknown protocol.
func DefaultProtocolPort(p Protocol) int {
	switch p {
	case ProtocolSSH, "":
		return 22
	case ProtocolWinRM:
		return 5985
	case ProtocolWinRMHTTPS:
		return 5986
	}
	return 0
}

// ConnectorConfig is how the operator wants instances to be reached. Password and Key are secrets: they never reach a log.
type ConnectorConfig struct {
	OS                   string        `json:"os,omitempty"`
	Arch                 string        `json:"arch,omitempty"`
	Protocol             Protocol      `json:"protocol,omitempty"`
	ProtocolPort         int           `json:"protocol_port,omitempty"` // 0: the protocol's default
	Username             string        `json:"username,omitempty"`
	Password             string        `json:"password,omitempty"`
	Key                  []byte        `json:"key,omitempty"` // a private key, PEM
	UseStaticCredentials bool          `json:"use_static_credentials,omitempty"`
	Keepalive            time.Duration `json:"keepalive,omitempty"`
	Timeout              time.Duration `json:"timeout,omitempty"` // how long connecting is retried
}

// LogValue keeps the secrets out of structured logs.
func (c ConnectorConfig) LogValue() slog.Value {
	return slog.GroupValue(slog.String("os", c.OS), slog.String("arch", c.Arch), slog.String("protocol", string(c.Protocol)),
		slog.Int("port", c.ProtocolPort), slog.String("username", c.Username))
}

// String is the connection without its secrets.
func (c ConnectorConfig) String() string { return c.LogValue().String() }

// Format keeps the secrets out of every verb of fmt, %#v and %d included.
func (c ConnectorConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Settings is what a group is told at Init.
type Settings struct {
	ConnectorConfig
}

// ConnectInfo is how to reach one instance.
type ConnectInfo struct {
	ConnectorConfig
	ID           string     `json:"id"`
	ExternalAddr string     `json:"external_addr,omitempty"` // may carry a port
	InternalAddr string     `json:"internal_addr,omitempty"` // may carry a port
	Expires      *time.Time `json:"expires,omitempty"`       // when the credentials stop working

	// HostKeys are the machine's SSH host keys (authorized_keys format), where the provider knows them; else the first one seen is pinned.
	HostKeys []string `json:"host_keys,omitempty"`
}

// LogValue keeps the secrets out of structured logs.
func (c ConnectInfo) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", c.ID), slog.String("external_addr", c.ExternalAddr), slog.String("internal_addr", c.InternalAddr),
		slog.Any("connector", c.ConnectorConfig))
}

// String is the connection without its secrets.
func (c ConnectInfo) String() string { return c.LogValue().String() }

// Format keeps the secrets out of every verb of fmt, %#v and %d included.
func (c ConnectInfo) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
