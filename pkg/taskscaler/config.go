package taskscaler

import (
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Config is everything that a manager's behaviour depends on beside its collaborators. The zero value of a field is its default. It is
// copied by New and by Reload; what Core.Schedule points to must not change afterwards (a Schedule never does).
type Config struct {
	Name string // the runner's label in logs and status

	// Core has the policies, limits and deadlines. ProviderMax, Heartbeat and UpdateInterval are filled in by New.
	Core scaler.Config

	// Settings are the operator's connector settings: the group's Init gets them, and what they set wins over what the provider says.
	Settings provider.Settings

	UpdateInterval              time.Duration // between two lists of the group; 0: 1 m
	UpdateIntervalWhenExpecting time.Duration // the same while a change is expected; 0: 2 s

	// ReadyCommand must succeed on a new instance before it gets its first job. Empty: being able to log in is enough.
	ReadyCommand string
	// UseExternalAddr connects to an instance's external address where it has both.
	UseExternalAddr bool
	// Insecure accepts any host key of an instance that none is known of. Known keys are checked all the same.
	Insecure bool

	AcquireTimeout time.Duration // how long an Acquire waits whose context has no deadline; 0: 15 m

	LogInternalIP bool // log an instance's internal address when it is ready
	LogExternalIP bool // log an instance's external address when it is ready

	// DeleteOnShutdown makes Shutdown delete every instance. Otherwise instances and leases stay for the next start.
	DeleteOnShutdown bool
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.UpdateInterval, time.Minute)
	def(&c.UpdateIntervalWhenExpecting, 2*time.Second)
	def(&c.AcquireTimeout, 15*time.Minute)
	c.Core.UpdateInterval = c.UpdateInterval
	c.Core = c.Core.WithDefaults()
	return c
}

// Validate returns every fault of c at once, joined.
func (c Config) Validate() error {
	var faults []error
	notNegative := func(name string, v int64) {
		if v < 0 {
			faults = append(faults, fmt.Errorf("%s is negative", name))
		}
	}
	notNegative("UpdateInterval", int64(c.UpdateInterval))
	notNegative("UpdateIntervalWhenExpecting", int64(c.UpdateIntervalWhenExpecting))
	notNegative("AcquireTimeout", int64(c.AcquireTimeout))
	notNegative("Settings.Timeout", int64(c.Settings.Timeout))
	notNegative("Core.Capacity", int64(c.Core.Capacity))
	notNegative("Core.MaxInstances", int64(c.Core.MaxInstances))
	notNegative("Core.MaxUses", int64(c.Core.MaxUses))
	return errors.Join(faults...)
}
