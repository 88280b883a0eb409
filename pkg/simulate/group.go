package simulate

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Group holds the settings of the simulated group. It has the fields of taskscaler.Config that influence decisions in a simulation, with the
// same names, meanings and defaults. It has no settings for connections, heartbeats, restarts and shutdown, because a simulation has none of
// these. model.Group fills it from a runner of a config.toml.
type Group struct {
	CapacityPerInstance int              // slots of one instance. Default: 1
	MaxInstances        int              // limit on instances in every state together. Default: 0, the provider's limit alone
	MaxUseCount         int              // leases that one instance serves in its life. Default: 0, no limit
	ProviderMax         int              // the provider's own limit on instances. Default: Options.Cloud.MaxSize
	Policies            *policy.Schedule // how much capacity to keep idle at which time. Default: nil, nothing
	Throttle            policy.Throttle  // pace of creates. Default: 100 a second with a burst of MaxInstances

	RequestedDeadline     time.Duration // from an accepted create to its instance in a list. Default: 10m
	CreatingDeadline      time.Duration // from the first list with the instance until it runs. Default: 15m
	PreparingDeadline     time.Duration // from running to ready. Default: 20m
	DeletingAlarm         time.Duration // how long a delete may take before an alarm is reported. Default: 1h
	DeletionRetryInterval time.Duration // between two delete calls for the same instance. Default: 1m
	ReservationDeadline   time.Duration // how long a reservation lasts without an Acquire. Default: 2m
	RememberFor           time.Duration // how long gone and lost instances, and failed creates, are remembered. Default: 1h
	MissingLists          int           // consecutive complete lists without an instance before it counts as missing. Default: 3
}

// core returns the settings of g for the core. interval is the time between two lists of the group.
func (g *Group) core(interval time.Duration) scaler.Config {
	return scaler.Config{
		Capacity: g.CapacityPerInstance, MaxInstances: g.MaxInstances, MaxUses: g.MaxUseCount, ProviderMax: g.ProviderMax,
		Schedule: g.Policies, Throttle: g.Throttle, UpdateInterval: interval,
		RequestedDeadline: g.RequestedDeadline, CreatingDeadline: g.CreatingDeadline, PreparingDeadline: g.PreparingDeadline,
		DeletingAlarm: g.DeletingAlarm, DeletionRetry: g.DeletionRetryInterval, ReservationDeadline: g.ReservationDeadline, ForgetAfter: g.RememberFor, MissingLists: g.MissingLists,
	}.WithDefaults()
}
