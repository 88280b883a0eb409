package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// AdoptMode says what becomes of instances that nobody can explain (adopt_preexisting).
type AdoptMode uint8

// The modes. Hold is the default: beside a known store they are removed, beside an empty one held as unclaimed.
const (
	AdoptHold AdoptMode = iota
	AdoptAll
	AdoptRemove
)

// Config is everything that the core's decisions depend on beside its state. Zero values take the defaults named.
type Config struct {
	Capacity     int // slots an instance; 0: 1
	MaxInstances int // 0: no limit but the provider's
	MaxUses      int // grants an instance in its whole life; 0: no limit
	ProviderMax  int // ProviderInfo.MaxSize; 0: unknown
	Schedule     *policy.Schedule
	Throttle     policy.Throttle // limit 0: 100 a second, below 0: none; burst 0: MaxInstances, else the limit

	UpdateInterval   time.Duration // 0: 1m
	FailureThreshold int           // heartbeats that fail in a row before the instance is unhealthy; 0: 3
	Heartbeat        bool          // the provider has heartbeats

	RequestedDeadline time.Duration // an accepted create shows an instance; 0: 10m
	CreatingDeadline  time.Duration // a listed instance runs; 0: 15m
	PreparingDeadline time.Duration // a running instance is ready; 0: 20m
	DeletingAlarm     time.Duration // a delete that takes longer is an alarm; 0: 1h

	DeletionRetry           time.Duration // a delete is asked again; 0: 1m
	ShutdownDeletionRetry   time.Duration // the same during a shutdown; 0: 10s
	ShutdownDeletionRetries int           // deletes asked during a shutdown before we give up; 0: 3

	ReservationDeadline     time.Duration // 0: 2m
	ReattachAfterRestart    time.Duration // 0: 5m
	ReattachAfterDisconnect time.Duration // 0: 30s
	KeepAbandoned           bool          // keep_instance_with_acquisitions: an abandoned lease's instance returns to service

	Adopt        AdoptMode
	ForgetAfter  time.Duration // how long a gone or lost instance, or a failed create, is remembered; 0: 1h
	MissingLists int           // complete lists without it before an instance counts as missing; 0: 3
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
