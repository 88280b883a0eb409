package daemon

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/scaler"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// settings turns a runner of the file into a manager's configuration. It reads the private key.
func settings(r config.Runner) (taskscaler.Config, error) {
	a := r.Autoscaler
	key, err := a.Connector.LoadKey()
	if err != nil {
		return taskscaler.Config{}, fmt.Errorf("runner %s: %w", r.Label(), err)
	}
	return taskscaler.Config{
		Name:                        name(r),
		Core:                        core(a),
		Settings:                    provider.Settings{ConnectorConfig: a.Connector.ToProvider(key)},
		UpdateInterval:              a.UpdateInterval,
		UpdateIntervalWhenExpecting: a.UpdateIntervalWhenExpecting,
		ReadyCommand:                a.InstanceReadyCommand,
		UseExternalAddr:             a.Connector.UseExternalAddr,
		AcquireTimeout:              a.InstanceAcquireTimeout,
		LogInternalIP:               a.LogInternalIP,
		LogExternalIP:               a.LogExternalIP,
		DeleteOnShutdown:            a.DeleteInstancesOnShutdown,
	}, nil
}

func core(a *config.Autoscaler) scaler.Config {
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

// private makes cfg that of a manager for one command: it creates what the command needs and no more, touches no instance that it did
// not create, and leaves none behind.
func private(cfg taskscaler.Config) taskscaler.Config {
	cfg.Core.Schedule = nil
	cfg.Core.Adopt = scaler.AdoptHold
	cfg.DeleteOnShutdown = true
	cfg.Core.ReattachAfterRestart = time.Millisecond // whoever held a lease was killed with its manager
	return cfg
}
