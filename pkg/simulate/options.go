package simulate

import (
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// Options are everything that a run depends on beside its workload.
type Options struct {
	Group Group     // the settings of the group: limits, policies, throttle, deadlines
	Start time.Time // the wall clock at the start: policies and hours of the day follow it
	Seed  uint64

	Cloud   cloudmodel.Config
	Ready   cloudmodel.Distribution // from running to ready: connecting and the ready command
	Instant bool                    // what changes is known at once, instead of at the next list

	UpdateInterval              time.Duration // between lists; 0: 1m
	UpdateIntervalWhenExpecting time.Duration // while the list is expected to change; 0: 2s

	Concurrent    int           // jobs that the runner takes at once; 0: no bound
	CheckInterval time.Duration // between the runner's polls for jobs; 0: a job is offered the instant it arrives

	Warmup   time.Duration // jobs that arrive before it are left out of every figure
	Patience time.Duration // how long, and the longest job's time on top, a run goes on in which none arrives or ends any more; 0: 48h
	Check    bool          // hold every step against the invariants, and now and then the core's whole books
	Timeline int           // points of each curve to keep, 0: none
	Exact    int           // waits kept exactly before a histogram takes over; 0: 10 million

	// Progress is called now and then; the run ends early when it returns false. nil: never.
	Progress func(done int, now time.Duration) bool
}

// ErrStopped is a run that Progress ended.
var ErrStopped = errors.New("simulate: stopped")

func (o Options) withDefaults() Options {
	if o.UpdateInterval <= 0 {
		o.UpdateInterval = time.Minute
	}
	if o.UpdateIntervalWhenExpecting <= 0 {
		o.UpdateIntervalWhenExpecting = 2 * time.Second
	}
	o.UpdateIntervalWhenExpecting = min(o.UpdateIntervalWhenExpecting, o.UpdateInterval)
	o.Group.CapacityPerInstance = max(o.Group.CapacityPerInstance, 1)
	if o.Patience <= 0 {
		o.Patience = 48 * time.Hour
	}
	if o.Exact <= 0 {
		o.Exact = 10_000_000
	}
	return o
}

// Validate returns every fault of the options.
func (o *Options) Validate() error {
	var faults []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"warmup", o.Warmup}, {"check_interval", o.CheckInterval}, {"RequestedDeadline", o.Group.RequestedDeadline},
		{"CreatingDeadline", o.Group.CreatingDeadline}, {"PreparingDeadline", o.Group.PreparingDeadline}, {"DeletingAlarm", o.Group.DeletingAlarm},
		{"DeletionRetryInterval", o.Group.DeletionRetryInterval}, {"ReservationDeadline", o.Group.ReservationDeadline},
		{"RememberFor", o.Group.RememberFor},
	} {
		if d.value < 0 {
			faults = append(faults, fmt.Errorf("%s must not be negative, is %s", d.name, d.value))
		}
	}
	if o.CheckInterval > 0 && o.CheckInterval < time.Millisecond { // each poll is an event of its own while jobs wait
		faults = append(faults, fmt.Errorf("check_interval must be 0, or a millisecond at least, is %s", o.CheckInterval))
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"concurrent", o.Concurrent}, {"CapacityPerInstance", o.Group.CapacityPerInstance}, {"MaxInstances", o.Group.MaxInstances},
		{"MaxUseCount", o.Group.MaxUseCount}, {"ProviderMax", o.Group.ProviderMax}, {"MissingLists", o.Group.MissingLists},
	} {
		if n.value < 0 {
			faults = append(faults, fmt.Errorf("%s must not be negative, is %d", n.name, n.value))
		}
	}
	if o.Start.IsZero() {
		faults = append(faults, errors.New("the start of the run is not set: policies need a calendar"))
	}
	return errors.Join(append(faults, o.Cloud.Validate(), o.Ready.Validate())...)
}

// WorkloadError is a workload that cannot be run.
type WorkloadError struct {
	Job    int // from 1, in the order of the workload
	Reason string
}

// Error says which job is wrong and how.
func (e *WorkloadError) Error() string {
	return fmt.Sprintf("job %d of the workload: %s", e.Job, e.Reason)
}
