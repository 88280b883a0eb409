package config

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// File is the content of a config.toml, with every default filled in. Load and Parse make it; nothing changes it after that.
type File struct {
	Path            string        // absolute path of the file
	Concurrent      int           // the most jobs that the runner process runs at once; 0: not set
	CheckInterval   time.Duration // how often the runner asks GitLab for jobs
	ShutdownTimeout time.Duration // how long a drain may take; 0: no limit
	LogLevel        string        // debug, info, warn or error
	LogFormat       string        // text or json
	ListenAddress   string        // address of the metrics server, host:port; empty: no metrics
	Runners         []Runner      // in the order of the file
}

// Runner is one [[runners]].
type Runner struct {
	Index int    // position in the file, starting at 1; used only to select the runner and in messages
	Line  int    // the line where it begins
	Name  string // may be empty
	URL   string // may be empty
	ID    string // decimal; empty when the file has none
	// Shared says that another runner of the file has the same Identity. GroupIdentity then tells them apart.
	Shared     bool
	Token      Secret
	Executor   string
	Limit      int         // the most jobs of this runner at once; 0: no limit
	Autoscaler *Autoscaler // nil: the runner has no [runners.autoscaler]
	Instance   Instance
}

// Instance is [runners.instance], the instance executor's own section.
type Instance struct {
	AllowedImages     []string
	UseCommonBuildDir bool
}

// Autoscaler is [runners.autoscaler]: the settings of one group. A field without a comment holds the key of the same name, which
// docs/configuration.md explains.
type Autoscaler struct {
	Line                        int            // the line where the section begins
	lines                       map[string]int // see LineOf
	CapacityPerInstance         int            // at least 1
	MaxUseCount                 int            // 0: no limit
	MaxInstances                int            // 0: as many as the provider allows
	Plugin                      string
	PluginConfig                RawConfig // JSON object; {} when the file has none
	PluginSHA256                string    // lower-case hex; empty: any binary is accepted
	PluginInsecurePath          bool
	PluginEnv                   []Secret // NAME, PREFIX_* or NAME=value
	Connector                   Connector
	InstanceReadyCommand        string
	InstanceAcquireTimeout      time.Duration
	UpdateInterval              time.Duration
	UpdateIntervalWhenExpecting time.Duration
	DeletionRetryInterval       time.Duration
	ShutdownDeletionInterval    time.Duration
	ShutdownDeletionRetries     int
	FailureThreshold            int
	Throttle                    policy.Throttle // with defaults: Limit > 0 and Burst ≥ 1, or Limit -1 for no throttle
	ReservationThrottling       bool
	LogInternalIP               bool
	LogExternalIP               bool
	DeleteInstancesOnShutdown   bool
	StateStorage                StateStorage
	Journal                     Journal
	VMIsolation                 VMIsolation
	Buckets                     Buckets
	Policies                    []policy.Policy
	Schedule                    *policy.Schedule // Policies in compiled form
	InstanceDeadlines           InstanceDeadlines
	CallTimeouts                CallTimeouts
	AdoptPreexisting            Adoption
	ReservationDeadline         time.Duration
	ReattachAfterRestart        time.Duration
	ReattachAfterDisconnect     time.Duration
}

// Adoption says what the manager does with instances that the provider lists while the state is empty or belongs to another group.
type Adoption string

// The values of Adoption.
const (
	AdoptHold   Adoption = "hold"   // count them, but neither use nor remove them
	AdoptAdopt  Adoption = "adopt"  // use them
	AdoptRemove Adoption = "remove" // remove them
)

// StateStorage says what the manager remembers over a restart.
type StateStorage struct {
	Enabled                      bool
	EnabledSet                   bool   // the file sets enabled
	Dir                          string // absolute; each runner has its own folder in it
	KeyFile                      string // absolute; empty: none, or KeyCredential
	KeyCredential                string // name of a credential of systemd; empty: none
	Encrypt                      bool   // true needs one of the two
	KeepInstanceWithAcquisitions bool
}

// Journal says whether and how the manager records its events, for explain and replay.
type Journal struct {
	Enabled bool
	MaxSize int64 // total size of all its files, in bytes
}

// VMIsolation holds the settings of nested machines. They are read and checked, but have no effect yet.
type VMIsolation struct {
	Enabled       bool
	NestingHost   string
	NestingConfig RawConfig // JSON object; empty when the file has none
	Image         string
	Connector     Connector
}

// InstanceDeadlines bound how long an instance may stay in a state.
type InstanceDeadlines struct {
	Requested     time.Duration // from the create request until the provider lists the instance
	Creating      time.Duration // from then until it runs
	Preparing     time.Duration // from then until its ready command has succeeded
	DeletingAlarm time.Duration // from the delete request until a warning says that the instance still exists
}

// CallTimeouts bound how long one call to the plugin may take. Each field is named after the method.
type CallTimeouts struct {
	Init, Update, Increase, Decrease, ConnectInfo, Heartbeat, Shutdown time.Duration
}

// Buckets are the bounds of histograms, in seconds and in rising order. nil: the metric's own bounds.
type Buckets struct {
	OperationTime, CreationTime, IsRunningTime, DeletionTime, ReadinessTime, LifeDuration []float64
}

// Connector says how to connect to instances. The plugin fills in what is empty.
type Connector struct {
	OS                   string // linux, windows, darwin or empty
	Arch                 string // amd64, arm64 or empty
	Protocol             provider.Protocol
	ProtocolPort         int // 0: the protocol's default
	Username             string
	Password             Secret
	KeyPath              string // absolute; empty: none
	KeyPassphrase        Secret // of the private key; empty: none, or that of KeyPassphrasePath
	KeyPassphrasePath    string // the file that holds the passphrase; absolute; empty: none
	UseStaticCredentials bool
	Keepalive            time.Duration
	Timeout              time.Duration
	UseExternalAddr      bool
	// PasswordWithoutHostKey sends Password to an instance whose host key is unknown.
	PasswordWithoutHostKey bool
	// AllowLegacySSH accepts SSH servers that offer only SHA-1 or short RSA keys.
	AllowLegacySSH bool
	// AllowDHGroupExchange accepts the key exchange diffie-hellman-group-exchange-sha256.
	AllowDHGroupExchange bool

	// ProxyJump is the jump host that connections go through.
	ProxyJump ProxyJump

	// The keys for WinRM.
	WinRMShell    string // cmd or powershell; empty: cmd
	WinRMAuth     string // ntlm, basic or empty: NTLM, or Basic if an instance offers only that over https
	WinRMCAFile   string // absolute; empty: none
	WinRMInsecure bool   // any certificate, and Basic without TLS
}

const (
	defaultConnectTimeout = 10 * time.Minute
	defaultKeepalive      = 30 * time.Second
	readyCommandTime      = 10 * time.Minute // time for the ready command: preparing is the connect timeout plus this
	defaultIdleTime       = 5 * time.Minute
	defaultThrottleLimit  = 100 // creates per second
	defaultStateDir       = ".taskscaler"
)
