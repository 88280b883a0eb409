package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// AdoptMode says what happens to instances that no create explains (adopt_preexisting).
type AdoptMode uint8

// The modes. AdoptHold is the default: such instances are removed when the store is known to belong to this group, and held as unclaimed
// when it is empty or foreign.
const (
	AdoptHold AdoptMode = iota
	AdoptAll
	AdoptRemove
)

// Config is everything the core's decisions depend on, besides its state. A zero value means the default given.
type Config struct {
	Capacity     int // slots per instance; 0: 1
	MaxInstances int // 0: no limit of ours, only the provider's
	MaxUses      int // grants per instance, in its whole life; 0: no limit
	ProviderMax  int // ProviderInfo.MaxSize; 0: unknown
	Schedule     *policy.Schedule
	Throttle     policy.Throttle // Limit 0: 100 per second, below 0: no limit; Burst 0: MaxInstances, or else Limit

	UpdateInterval   time.Duration // 0: 1m
	FailureThreshold int           // consecutive failed heartbeats that make an instance unhealthy; 0: 3
	Heartbeat        bool          // the provider supports heartbeats

	RequestedDeadline time.Duration // from an accepted create until the instance is listed; 0: 10m
	CreatingDeadline  time.Duration // from listed until running; 0: 15m
	PreparingDeadline time.Duration // from running until ready; 0: 20m
	DeletingAlarm     time.Duration // a delete that takes longer raises an alarm; 0: 1h

	DeletionRetry           time.Duration // until a delete is sent again; 0: 1m
	ShutdownDeletionRetry   time.Duration // the same during a shutdown; 0: 10s
	ShutdownDeletionRetries int           // deletes sent during a shutdown before it gives up; 0: 3

	ReservationDeadline     time.Duration // 0: 2m
	ReattachAfterRestart    time.Duration // 0: 5m
	ReattachAfterDisconnect time.Duration // 0: 30s
	KeepAbandoned           bool          // keep_instance_with_acquisitions: the instance of an abandoned lease returns to service

	Adopt        AdoptMode
	ForgetAfter  time.Duration // how long an instance that is gone or lost, or a failed create, is remembered; 0: 1h
	MissingLists int           // consecutive complete lists without an instance before it counts as missing; 0: 3
}

// WithDefaults returns c with every default filled in.
func (c Config) WithDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	c.Capacity = max(c.Capacity, 1)
	def(&c.UpdateInterval, time.Minute)
	def(&c.RequestedDeadline, 10*time.Minute)
	def(&c.CreatingDeadline, 15*time.Minute)
	def(&c.PreparingDeadline, 20*time.Minute)
	def(&c.DeletingAlarm, time.Hour)
	def(&c.DeletionRetry, time.Minute)
	def(&c.ShutdownDeletionRetry, 10*time.Second)
	def(&c.ReservationDeadline, 2*time.Minute)
	def(&c.ReattachAfterRestart, 5*time.Minute)
	def(&c.ReattachAfterDisconnect, 30*time.Second)
	def(&c.ForgetAfter, time.Hour)
	if c.FailureThreshold <= 0 {
		c.FailureThreshold = 3
	}
	if c.ShutdownDeletionRetries <= 0 {
		c.ShutdownDeletionRetries = 3
	}
	if c.MissingLists <= 0 {
		c.MissingLists = 3
	}
	return c
}
