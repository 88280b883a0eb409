package daemon

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/groupconfig"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/provider"
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
		Core:                        groupconfig.Core(a),
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

// private makes cfg that of a manager for one command: it creates what the command needs and no more, touches no instance that it did
// not create, and leaves none behind.
func private(cfg taskscaler.Config) taskscaler.Config {
	cfg.Core.Schedule = nil
	cfg.Core.Adopt = scaler.AdoptHold
	cfg.DeleteOnShutdown = true
	cfg.Core.ReattachAfterRestart = time.Millisecond // whoever held a lease was killed with its manager
	return cfg
}
