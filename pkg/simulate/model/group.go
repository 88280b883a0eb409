package model

import (
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Group returns the settings of the group that one [runners.autoscaler] section describes. They are those that setup.Config gives to a
// manager, so that what is simulated is what will run. The provider's limit is not in the file: it stays at its default.
func Group(a *config.Autoscaler) simulate.Group {
	return simulate.Group{
		CapacityPerInstance:   a.CapacityPerInstance,
		MaxInstances:          a.MaxInstances,
		MaxUseCount:           a.MaxUseCount,
		Policies:              a.Schedule,
		Throttle:              a.Throttle,
		RequestedDeadline:     a.InstanceDeadlines.Requested,
		CreatingDeadline:      a.InstanceDeadlines.Creating,
		PreparingDeadline:     a.InstanceDeadlines.Preparing,
		DeletingAlarm:         a.InstanceDeadlines.DeletingAlarm,
		DeletionRetryInterval: a.DeletionRetryInterval,
		ReservationDeadline:   a.ReservationDeadline,
	}
}
