package provider

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
)

// InstanceGroup is one group of machines of one provider.
//
// After Init has returned, the methods may be called from several goroutines at once. Each method must return soon after its context
// ends. Return an [*Error] where the kind of a failure is known; every other error counts as [KindTransient].
//
// A call may be repeated although an earlier one succeeded, because its answer was lost.
type InstanceGroup interface {
	// Init connects to the group. It is called once, before every other method, after the configuration was unmarshalled into the
	// receiver. The group may have instances already; Update reports them. A configuration that can never work is an error of
	// KindConfig.
	Init(ctx context.Context, log hclog.Logger, settings Settings) (ProviderInfo, error)

	// Update calls update once for each instance of the group. It returns nil only when the list was complete. After an error, the
	// caller knows that the list may be incomplete, and concludes nothing from a missing instance. An instance that is gone is not
	// reported.
	Update(ctx context.Context, update func(id string, state State)) error

	// Increase asks for delta more instances (delta > 0) and returns how many of them the provider accepted. It does not wait until
	// they run. A partial success returns both values: the number that was accepted, and the error that stopped the rest.
	Increase(ctx context.Context, delta int) (succeeded int, err error)

	// Decrease asks the provider to remove exactly these instances, and returns the ids whose removal was accepted. An id that is
	// already gone counts as accepted. For an empty list it returns nil, nil. The caller repeats it until Update no longer reports the
	// instance.
	Decrease(ctx context.Context, ids []string) (succeeded []string, err error)

	// ConnectInfo says how to reach an instance that Update reported as running. It starts from Settings.ConnectorConfig and fills in
	// only the empty fields: what the operator set wins. An unknown id is an error of KindNotFound.
	ConnectInfo(ctx context.Context, id string) (ConnectInfo, error)

	// Shutdown releases what Init acquired. It removes no instance. It is the last call. It is not called if the host of the plugin crashed or
	// was killed: then the contexts of running calls end, and the process exits a second later.
	Shutdown(ctx context.Context) error
}

// Heartbeater is an optional interface of a group that can check the health of an instance.
type Heartbeater interface {
	// Heartbeat returns nil for a healthy instance, and an error of KindUnhealthy (or ErrInstanceUnhealthy) for one that must not be
	// used again. Other errors count towards failure_threshold, except ErrAway and those of KindThrottled.
	Heartbeat(ctx context.Context, id string) error
}

// Describer is an optional interface of a group whose description can change while it is in use, for example its limit.
type Describer interface {
	// Describe returns what Init would return now. The manager calls it at each reload. The ID must be the one that Init returned.
	Describe(ctx context.Context) (ProviderInfo, error)
}

// Suspender is an optional interface of a group that can suspend instances and resume them.
type Suspender interface {
	// Suspend asks the provider to suspend these running instances, and returns the ids that were accepted.
	Suspend(ctx context.Context, ids []string) (succeeded []string, err error)
	// Resume asks the provider to run these suspended instances again, and returns the ids that were accepted.
	Resume(ctx context.Context, ids []string) (succeeded []string, err error)
}

// State is the state of an instance as the provider reports it.
type State string

// The states that Update may report. Any other state counts as StateCreating: the instance exists and cannot be used.
const (
	StateCreating   State = "creating"
	StateRunning    State = "running"
	StateDeleting   State = "deleting"
	StateDeleted    State = "deleted"
	StateTimeout    State = "timeout" // the provider gave up on it; the manager deletes it
	StateSuspending State = "suspending"
	StateSuspended  State = "suspended"
	StateResuming   State = "resuming"
)

// Capability names an optional ability of a group.
type Capability string

// The capabilities.
const (
	CapabilityHeartbeat     Capability = "heartbeat"
	CapabilitySuspendResume Capability = "suspend_resume"
)

// ProviderInfo describes a group. Init returns it.
type ProviderInfo struct {
	ID        string // identifies the group, e.g. "aws/eu-west-1/my-asg"; the same after each start, because state is bound to it
	MaxSize   int    // the most instances that the group can hold; may be math.MaxInt; 0: unknown, no limit
	Version   string // the plugin's version; filled in from plugin.VersionInfo if empty
	BuildInfo string // how the plugin was built; filled in from plugin.VersionInfo if empty
	// Capabilities is what the group can do. nil: what its methods say, see CapabilitiesOf. Set it in a type whose optional methods are only
	// stubs; an empty list that is not nil says that it can do none of them.
	Capabilities []Capability
}

// CapabilitiesOf returns what g can do: i.Capabilities if it is set, as far as g has the methods, else CapabilitiesOf(g). i is the answer of Init.
func (i ProviderInfo) CapabilitiesOf(g InstanceGroup) []Capability {
	can := CapabilitiesOf(g)
	if i.Capabilities == nil {
		return can
	}
	return slices.DeleteFunc(can, func(c Capability) bool { return !slices.Contains(i.Capabilities, c) })
}

// CapabilitiesOf returns what the methods of g say that it can do; ProviderInfo.CapabilitiesOf also knows what Init said. Do not use a type
// assertion: a type that forwards to another process has every method. Such a type says what it can do with a method Capabilities() []Capability.
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

// Protocol is the protocol that reaches an instance.
type Protocol string

// The protocols. An empty one means ssh, or winrm if the operating system is windows.
const (
	ProtocolSSH        Protocol = "ssh"
	ProtocolWinRM      Protocol = "winrm"
	ProtocolWinRMHTTPS Protocol = "winrm+https"
)

// DefaultProtocolPorts are the ports that protocols use if none is set, as fleeting has them. Do not change it; DefaultProtocolPort knows the empty
// protocol too.
var DefaultProtocolPorts = map[Protocol]int{ProtocolSSH: 22, ProtocolWinRM: 5985, ProtocolWinRMHTTPS: 5986}

// DefaultProtocolPort returns the port that a protocol uses if none is set. It returns 0 for an unknown protocol.
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

// ConnectorConfig says how to connect to instances. The operator sets it in connector_config. Password and Key are secrets. They have plain
// types, so that a plugin that was written for fleeting compiles; ConnectorConfig itself shows them as [redacted] in every verb of fmt that vet accepts, in logs
// and in JSON. Keep a ConnectorConfig, Settings or ConnectInfo in an unexported field as a secret.Value: fmt does not ask an unexported field how
// it prints.
type ConnectorConfig struct {
	OS                   string        `json:"os,omitempty"`            // e.g. "linux" or "windows"; empty: unknown
	Arch                 string        `json:"arch,omitempty"`          // e.g. "amd64"; empty: unknown
	Protocol             Protocol      `json:"protocol,omitempty"`      // empty: ssh, or winrm if OS is windows
	ProtocolPort         int           `json:"protocol_port,omitempty"` // 0: the protocol's default
	Username             string        `json:"username,omitempty"`
	Password             string        `json:"password,omitempty"`
	Key                  []byte        `json:"key,omitempty"`                    // a private key in PEM form
	UseStaticCredentials bool          `json:"use_static_credentials,omitempty"` // use Username, Password and Key as they are; make no others
	Keepalive            time.Duration `json:"keepalive,omitempty"`              // see package connector; 0: its default, negative: none
	Timeout              time.Duration `json:"timeout,omitempty"`                // how long connecting is retried; 0: the connector's default
}

// Settings is what Init receives besides the configuration.
type Settings struct {
	ConnectorConfig
	// StateDir is a folder for what the group must know after a restart, such as the private keys of its instances. The host creates it, with mode 0700,
	// and gives each group the same one after each start. Two processes of one plugin may use it at the same time, see Describer. Empty: the host keeps no
	// state. Prefer labels of the cloud, which cannot be lost.
	StateDir string
}

// ConnectInfo says how to connect to one instance.
type ConnectInfo struct {
	ConnectorConfig
	ID           string     `json:"id"`
	ExternalAddr string     `json:"external_addr,omitempty"` // a host, or host:port
	InternalAddr string     `json:"internal_addr,omitempty"` // a host, or host:port
	Expires      *time.Time `json:"expires,omitempty"`       // when the credentials end; nil: never

	// HostKeys are the instance's SSH host keys in authorized_keys form, if the provider knows them. For winrm+https an entry is "x509-sha256 " and the
	// SHA-256 of the instance's certificate in hex. Empty: the manager pins what it sees at first contact.
	HostKeys []string `json:"host_keys,omitempty"`
}
