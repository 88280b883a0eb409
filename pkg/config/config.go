package config

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// File is what a config.toml says, with every default filled in. It is not changed after Load or Parse returned it.
type File struct {
	Path            string        // absolute
	Concurrent      int           // most jobs of the runner process at once; 0: not set
	CheckInterval   time.Duration // how often jobs are asked for
	ShutdownTimeout time.Duration // bound of the drain; 0: none
	LogLevel        string        // debug, info, warn or error
	LogFormat       string        // text or json
	ListenAddress   string        // of the metrics server; empty: no metrics
	Runners         []Runner      // in the order of the file
}

// Runner is one [[runners]].
type Runner struct {
	Index int    // position in the file, counted from 1, for selection and messages only
	Line  int    // where it begins
	Name  string // may be empty
	URL   string // may be empty
	ID    string // decimal; empty when the file has none
	// Shared says that another runner of the file has the same identity: then the provider group tells them apart (GroupIdentity).
	Shared     bool
	Token      Secret
	Executor   string
	Limit      int         // most jobs of this runner at once; 0: no limit
	Autoscaler *Autoscaler // nil: not autoscaling
	Instance   Instance
}

// Instance is [runners.instance], the instance executor's own section.
type Instance struct {
	AllowedImages     []string
	UseCommonBuildDir bool
}

// Autoscaler is [runners.autoscaler]: one fleet.
type Autoscaler struct {
	Line                        int // where the section begins
	CapacityPerInstance         int // at least 1
	MaxUseCount                 int // 0: no limit
	MaxInstances                int // 0: the provider's limit
	Plugin                      string
	PluginConfig                RawConfig // JSON object; {} when the file has none
	PluginSHA256                string    // lower-case hex; empty: any binary
	Connector                   Connector
	InstanceReadyCommand        string
	InstanceAcquireTimeout      time.Duration
	UpdateInterval              time.Duration
	UpdateIntervalWhenExpecting time.Duration
	DeletionRetryInterval       time.Duration
	ShutdownDeletionInterval    time.Duration
	ShutdownDeletionRetries     int
	FailureThreshold            int
	Throttle                    policy.Throttle // resolved: Limit > 0 with a Burst of at least 1, or Limit -1 for none
	ReservationThrottling       bool
	LogInternalIP               bool
	LogExternalIP               bool
	DeleteInstancesOnShutdown   bool
	StateStorage                StateStorage
	Journal                     Journal
	VMIsolation                 VMIsolation
	Buckets                     Buckets
	Policies                    []policy.Policy
	Schedule                    *policy.Schedule // Policies, compiled
	InstanceDeadlines           InstanceDeadlines
	AdoptPreexisting            Adoption
	ReservationDeadline         time.Duration
	ReattachAfterRestart        time.Duration
	ReattachAfterDisconnect     time.Duration
}

// Adoption says what becomes of instances that are found beside an empty or foreign state.
type Adoption string

// What can become of them.
const (
	AdoptHold   Adoption = "hold"   // counted, neither used nor removed
	AdoptAdopt  Adoption = "adopt"  // taken into service
	AdoptRemove Adoption = "remove" // removed
)

// StateStorage says what is remembered over a restart.
type StateStorage struct {
	Enabled                      bool
	EnabledSet                   bool   // the file says so itself
	Dir                          string // absolute; each runner has a folder of its own in it
	KeepInstanceWithAcquisitions bool
}

// Journal says how what the manager is told is kept, for explain and replay.
type Journal struct {
	Enabled bool
	MaxSize int64 // bytes of all its files
}

// VMIsolation is about nested machines. It is read and checked, and nothing acts on it yet.
type VMIsolation struct {
	Enabled       bool
	NestingHost   string
	NestingConfig RawConfig // JSON object; empty when the file has none
	Image         string
	Connector     Connector
}

// InstanceDeadlines bound how long an instance may stay in a state.
type InstanceDeadlines struct {
	Requested     time.Duration // until the provider lists it
	Creating      time.Duration // until it runs
	Preparing     time.Duration // until its ready command has succeeded
	DeletingAlarm time.Duration // until a removal that has no effect is an alarm
}

// Buckets are bounds of histograms in seconds, rising; nil: the metric's own.
type Buckets struct {
	OperationTime, CreationTime, IsRunningTime, DeletionTime, ReadinessTime, LifeDuration []float64
}

// Connector says how the operator wants instances to be reached; what is empty is the plugin's to fill.
type Connector struct {
	OS                   string // linux, windows, darwin or empty
	Arch                 string // amd64, arm64 or empty
	Protocol             provider.Protocol
	ProtocolPort         int // 0: the protocol's default
	Username             string
	Password             Secret
	KeyPath              string // absolute; empty: none
	UseStaticCredentials bool
	Keepalive            time.Duration
	Timeout              time.Duration
	UseExternalAddr      bool

	keyLine int // where key_path stands, for CheckFiles
}

const (
	defaultConnectTimeout = 10 * time.Minute
	defaultKeepalive      = 30 * time.Second
	readyCommandTime      = 10 * time.Minute // what preparing has beyond the connect timeout
	defaultIdleTime       = 5 * time.Minute
	defaultThrottleLimit  = 100 // creates a second
	defaultStateDir       = ".taskscaler"
)
