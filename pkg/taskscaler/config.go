package taskscaler

import (
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// AdoptMode says what the manager does with instances that it finds in the group and cannot explain from its state.
type AdoptMode uint8

// The modes. The zero value is AdoptHold.
const (
	// AdoptHold removes unexplained instances if the store already has the state of this group. If the store is empty, it keeps them as
	// unclaimed: they count against MaxInstances, and the manager neither uses nor deletes them.
	AdoptHold AdoptMode = iota
	// AdoptAll takes unexplained instances into service.
	AdoptAll
	// AdoptRemove deletes unexplained instances.
	AdoptRemove
)

// Config holds the settings of one manager. The zero value of each field selects its default; see [Config.WithDefaults]. New and Reload
// copy the Config. The schedule that Policies points to must not change afterwards (a [policy.Schedule] never does).
//
// The comments name the key of config.toml where the field has one. Package setup fills a Config from such a file.
type Config struct {
	// Name labels the manager in logs, errors and Status. It is usually the name of the runner.
	Name string

	// CapacityPerInstance is the number of slots of one instance (capacity_per_instance). Default: 1.
	CapacityPerInstance int
	// MaxInstances limits the instances in every state together (max_instances). Default: 0, the provider's limit alone.
	MaxInstances int
	// MaxUseCount limits the leases that one instance serves in its life (max_use_count). Default: 0, no limit.
	MaxUseCount int

	// Policies says how much capacity to keep idle at which time (policy.Compile builds it). Default: nil, which keeps nothing idle and
	// removes an instance after 5m without a lease.
	Policies *policy.Schedule
	// Throttle limits the pace of creates (scale_throttle). Default: 100 a second with a burst of MaxInstances.
	Throttle policy.Throttle

	// UpdateInterval is the time between two lists of the group (update_interval). Default: 1m.
	UpdateInterval time.Duration
	// UpdateIntervalWhenExpecting is the time between two lists while a change is expected (update_interval_when_expecting). Default: 2s.
	UpdateIntervalWhenExpecting time.Duration
	// MissingLists is the number of consecutive complete lists without an instance before the instance counts as missing. Default: 3.
	MissingLists int
	// FailureThreshold is the number of consecutive failed heartbeats after which an instance counts as unhealthy (failure_threshold).
	// Default: 3.
	FailureThreshold int

	// RequestedDeadline bounds the time from an accepted create until its instance is listed (instance_deadlines.requested). Default: 10m.
	RequestedDeadline time.Duration
	// CreatingDeadline bounds the time from the first list with the instance until it runs (instance_deadlines.creating). Default: 15m.
	CreatingDeadline time.Duration
	// PreparingDeadline bounds connecting and the ready command (instance_deadlines.preparing). Default: 20m.
	PreparingDeadline time.Duration
	// DeletingAlarm is how long a delete may take before an alarm is reported (instance_deadlines.deleting_alarm). Default: 1h.
	DeletingAlarm time.Duration
	// DeletionRetryInterval is the time between two delete calls for the same instance (deletion_retry_interval). Default: 1m.
	DeletionRetryInterval time.Duration
	// ShutdownDeletionInterval replaces DeletionRetryInterval during Shutdown (shutdown_deletion_interval). Default: 10s.
	ShutdownDeletionInterval time.Duration
	// ShutdownDeletionRetries is the number of delete calls for one instance during Shutdown (shutdown_deletion_retries). Default: 3.
	ShutdownDeletionRetries int

	// InitTimeout bounds the group's Init (call_timeouts.init). Default: 2m.
	InitTimeout time.Duration
	// UpdateTimeout bounds one Update, a list of the group (call_timeouts.update). Default: 2m.
	UpdateTimeout time.Duration
	// IncreaseTimeout bounds one Increase, which may ask for several instances (call_timeouts.increase). Default: 10m.
	IncreaseTimeout time.Duration
	// DecreaseTimeout bounds one Decrease, which may name several instances (call_timeouts.decrease). Default: 5m.
	DecreaseTimeout time.Duration
	// ConnectInfoTimeout bounds one ConnectInfo (call_timeouts.connect_info). Default: 1m.
	ConnectInfoTimeout time.Duration
	// HeartbeatTimeout bounds one Heartbeat (call_timeouts.heartbeat). Default: 30s.
	HeartbeatTimeout time.Duration
	// ShutdownTimeout bounds the group's Shutdown (call_timeouts.shutdown). Default: 30s.
	ShutdownTimeout time.Duration

	// ReservationDeadline is how long a reservation lasts without an Acquire (reservation_deadline). Default: 2m.
	ReservationDeadline time.Duration
	// AcquireTimeout bounds an Acquire or Replace whose context has no deadline (instance_acquire_timeout). Default: 15m.
	AcquireTimeout time.Duration
	// ReattachAfterRestart is how long a lease waits for its caller after a restart of the manager (reattach_after_restart). Default: 5m.
	ReattachAfterRestart time.Duration
	// ReattachAfterDisconnect is how long a lease waits for its caller after Detach (reattach_after_disconnect). Default: 30s.
	ReattachAfterDisconnect time.Duration
	// KeepInstanceWithAcquisitions keeps an instance in service when the caller of its lease does not reattach in time
	// (state_storage.keep_instance_with_acquisitions). Default: false, the instance is retired.
	KeepInstanceWithAcquisitions bool
	// AdoptPreexisting says what the manager does with instances that it cannot explain (adopt_preexisting). Default: AdoptHold.
	AdoptPreexisting AdoptMode
	// RememberFor is how long the manager remembers gone and lost instances, and failed creates. Default: 1h.
	RememberFor time.Duration

	// Connector holds the operator's connector settings (connector_config). The group's Init receives them. A value that is set here
	// overrides what the provider reports.
	Connector provider.ConnectorConfig
	// UseExternalAddr selects the external address of an instance that has two addresses (connector_config.use_external_addr).
	UseExternalAddr bool
	// Insecure accepts any host key of an instance whose host key is not known yet. Known host keys are always verified.
	Insecure bool
	// PasswordWithoutHostKey sends Connector.Password to an instance whose host key is not known yet
	// (connector_config.password_without_host_key). A password that the provider reports for one instance is always sent.
	PasswordWithoutHostKey bool
	// AllowLegacySSH accepts SSH servers that offer only SHA-1, and RSA keys below 2048 bits (connector_config.allow_legacy_ssh).
	AllowLegacySSH bool
	// AllowDHGroupExchange accepts SSH servers whose only key exchange is diffie-hellman-group-exchange-sha256 (connector_config.allow_dh_group_exchange).
	AllowDHGroupExchange bool
	// Jump is the host that every connection to an instance goes through (connector_config.proxy_jump). Nil: none. Its failures say nothing about an instance:
	// an instance that is prepared waits until the jump host works, and is not counted as a failed boot.
	Jump *connector.JumpHost
	// WinRM says what is particular to instances that are reached over WinRM (connector_config.winrm_shell, winrm_auth, winrm_ca_file and winrm_insecure).
	WinRM connector.WinRMOptions
	// ReadyCommand must succeed on a new instance before its first job (instance_ready_command). Default: empty, a login is enough.
	ReadyCommand string

	// LogInternalIP logs the internal address of each instance that becomes ready (log_internal_ip).
	LogInternalIP bool
	// LogExternalIP logs the external address of each instance that becomes ready (log_external_ip).
	LogExternalIP bool

	// DeleteOnShutdown makes Shutdown delete every instance (delete_instances_on_shutdown). Otherwise instances and leases stay for the
	// next start.
	DeleteOnShutdown bool
}

// WithDefaults returns c with every default filled in, as New and Reload use it.
func (c Config) WithDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.UpdateInterval, time.Minute)
	def(&c.UpdateIntervalWhenExpecting, 2*time.Second)
	def(&c.AcquireTimeout, 15*time.Minute)
	def(&c.InitTimeout, 2*time.Minute)
	def(&c.UpdateTimeout, 2*time.Minute)
	def(&c.IncreaseTimeout, 10*time.Minute)
	def(&c.DecreaseTimeout, 5*time.Minute)
	def(&c.ConnectInfoTimeout, time.Minute)
	def(&c.HeartbeatTimeout, 30*time.Second)
	def(&c.ShutdownTimeout, 30*time.Second)
	core := c.core().WithDefaults()
	c.CapacityPerInstance, c.MissingLists, c.FailureThreshold = core.Capacity, core.MissingLists, core.FailureThreshold
	c.RequestedDeadline, c.CreatingDeadline, c.PreparingDeadline = core.RequestedDeadline, core.CreatingDeadline, core.PreparingDeadline
	c.DeletingAlarm, c.DeletionRetryInterval = core.DeletingAlarm, core.DeletionRetry
	c.ShutdownDeletionInterval, c.ShutdownDeletionRetries = core.ShutdownDeletionRetry, core.ShutdownDeletionRetries
	c.ReservationDeadline = core.ReservationDeadline
	c.ReattachAfterRestart, c.ReattachAfterDisconnect = core.ReattachAfterRestart, core.ReattachAfterDisconnect
	c.RememberFor = core.ForgetAfter
	return c
}

// core returns the settings that the core uses. It does not set what only the provider knows: its limit, and whether it has heartbeats.
func (c *Config) core() scaler.Config {
	return scaler.Config{
		Capacity:                c.CapacityPerInstance,
		MaxInstances:            c.MaxInstances,
		MaxUses:                 c.MaxUseCount,
		Schedule:                c.Policies,
		Throttle:                c.Throttle,
		UpdateInterval:          c.UpdateInterval,
		FailureThreshold:        c.FailureThreshold,
		RequestedDeadline:       c.RequestedDeadline,
		CreatingDeadline:        c.CreatingDeadline,
		PreparingDeadline:       c.PreparingDeadline,
		DeletingAlarm:           c.DeletingAlarm,
		DeletionRetry:           c.DeletionRetryInterval,
		ShutdownDeletionRetry:   c.ShutdownDeletionInterval,
		ShutdownDeletionRetries: c.ShutdownDeletionRetries,
		ReservationDeadline:     c.ReservationDeadline,
		ReattachAfterRestart:    c.ReattachAfterRestart,
		ReattachAfterDisconnect: c.ReattachAfterDisconnect,
		KeepAbandoned:           c.KeepInstanceWithAcquisitions,
		Adopt:                   scaler.AdoptMode(c.AdoptPreexisting),
		ForgetAfter:             c.RememberFor,
		MissingLists:            c.MissingLists,
	}
}

// Validate returns every fault of c, joined by errors.Join. Each fault names its field. New and Reload call it.
func (c Config) Validate() error {
	var faults []error
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"CapacityPerInstance", int64(c.CapacityPerInstance)}, {"MaxInstances", int64(c.MaxInstances)}, {"MaxUseCount", int64(c.MaxUseCount)},
		{"MissingLists", int64(c.MissingLists)}, {"FailureThreshold", int64(c.FailureThreshold)},
		{"ShutdownDeletionRetries", int64(c.ShutdownDeletionRetries)}, {"Throttle.Burst", int64(c.Throttle.Burst)},
		{"UpdateInterval", int64(c.UpdateInterval)}, {"UpdateIntervalWhenExpecting", int64(c.UpdateIntervalWhenExpecting)},
		{"RequestedDeadline", int64(c.RequestedDeadline)}, {"CreatingDeadline", int64(c.CreatingDeadline)},
		{"PreparingDeadline", int64(c.PreparingDeadline)}, {"DeletingAlarm", int64(c.DeletingAlarm)},
		{"DeletionRetryInterval", int64(c.DeletionRetryInterval)}, {"ShutdownDeletionInterval", int64(c.ShutdownDeletionInterval)},
		{"InitTimeout", int64(c.InitTimeout)}, {"UpdateTimeout", int64(c.UpdateTimeout)}, {"IncreaseTimeout", int64(c.IncreaseTimeout)},
		{"DecreaseTimeout", int64(c.DecreaseTimeout)}, {"ConnectInfoTimeout", int64(c.ConnectInfoTimeout)},
		{"HeartbeatTimeout", int64(c.HeartbeatTimeout)}, {"ShutdownTimeout", int64(c.ShutdownTimeout)},
		{"ReservationDeadline", int64(c.ReservationDeadline)}, {"AcquireTimeout", int64(c.AcquireTimeout)},
		{"ReattachAfterRestart", int64(c.ReattachAfterRestart)}, {"ReattachAfterDisconnect", int64(c.ReattachAfterDisconnect)},
		{"RememberFor", int64(c.RememberFor)}, {"Connector.Timeout", int64(c.Connector.Timeout)},
		{"Connector.ProtocolPort", int64(c.Connector.ProtocolPort)},
	} {
		if n.value < 0 {
			faults = append(faults, fmt.Errorf("%s is negative: set it to 0 for the default, or to a positive value", n.name))
		}
	}
	if c.AdoptPreexisting > AdoptRemove {
		faults = append(faults, fmt.Errorf("AdoptPreexisting is %d: use AdoptHold, AdoptAll or AdoptRemove", c.AdoptPreexisting))
	}
	if err := c.Throttle.Check(); err != nil {
		faults = append(faults, fmt.Errorf("the field Throttle: %w", err))
	}
	if c.Jump != nil {
		if err := c.Jump.Check(connector.DialOptions{LegacyAlgorithms: c.AllowLegacySSH}); err != nil {
			faults = append(faults, fmt.Errorf("the field Jump: %w", err))
		}
	}
	if len(c.WinRM.CA) > 0 {
		if err := connector.CheckCA(c.WinRM.CA); err != nil {
			faults = append(faults, fmt.Errorf("the field WinRM.CA: %w", err))
		}
	}
	return errors.Join(faults...)
}
