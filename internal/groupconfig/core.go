// Package groupconfig turns a runner of a config.toml into the configuration of the core that decides for its group. The manager and the
// simulation both start from it, so that what is simulated is what will run.
package groupconfig

import (
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// Core is the core's configuration for one [runners.autoscaler]. What only the provider knows (its largest size, heartbeats) is left open.
func Core(a *config.Autoscaler) scaler.Config {
	return scaler.Config{
		Capacity:                a.CapacityPerInstance,
		MaxInstances:            a.MaxInstances,
		MaxUses:                 a.MaxUseCount,
		Schedule:                a.Schedule,
		Throttle:                a.Throttle,
		FailureThreshold:        a.FailureThreshold,
		RequestedDeadline:       a.InstanceDeadlines.Requested,
		CreatingDeadline:        a.InstanceDeadlines.Creating,
		PreparingDeadline:       a.InstanceDeadlines.Preparing,
		DeletingAlarm:           a.InstanceDeadlines.DeletingAlarm,
		DeletionRetry:           a.DeletionRetryInterval,
		ShutdownDeletionRetry:   a.ShutdownDeletionInterval,
		ShutdownDeletionRetries: a.ShutdownDeletionRetries,
		ReservationDeadline:     a.ReservationDeadline,
		ReattachAfterRestart:    a.ReattachAfterRestart,
		ReattachAfterDisconnect: a.ReattachAfterDisconnect,
		KeepAbandoned:           a.StateStorage.KeepInstanceWithAcquisitions,
		Adopt:                   adoption(a),
	}
}

// adoption: without a state every instance that is found is as good as preexisting, and goes, as it always did.
func adoption(a *config.Autoscaler) scaler.AdoptMode {
	switch {
	case a.AdoptPreexisting == config.AdoptAdopt:
		return scaler.AdoptAll
	case a.AdoptPreexisting == config.AdoptRemove, !a.StateStorage.Enabled:
		return scaler.AdoptRemove
	}
	return scaler.AdoptHold
}
