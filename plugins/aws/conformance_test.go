package aws

import (
	"context"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// startMachines starts machines that a server's instances are.
func startMachines(t testing.TB) *machine.Park {
	t.Helper()
	park, err := machine.Open(machine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := park.Close(); err != nil {
			t.Error(err)
		}
	})
	return park
}

// TestConformance runs the suite on a group whose machines are real SSH servers. The credentials may do what the documentation says, and nothing else.
func TestConformance(t *testing.T) {
	park := startMachines(t)
	s := startCloud(t, ec2.Config{
		Groups: []ec2.GroupConfig{ciGroup(func(c *ec2.GroupConfig) {
			c.Max = 3
			c.Model = cloudmodel.Config{Boot: cloudmodel.Constant(100 * time.Millisecond), Delete: cloudmodel.Constant(200 * time.Millisecond)}
		})},
		Machines: ec2.OnPark(park),
	})
	var settings provider.Settings
	settings.ProtocolPort, settings.StateDir = park.Port(), t.TempDir()
	atOnce := func(g *InstanceGroup) { g.good.status = time.Nanosecond }
	providertest.Run(t, providertest.Options{
		New:      func(*testing.T) provider.InstanceGroup { return newGroup(atOnce) },
		Reopen:   func(*testing.T, provider.InstanceGroup) provider.InstanceGroup { return newGroup(atOnce) },
		Settings: settings,
		Sicken:   func(_ context.Context, _ provider.InstanceGroup, id string) error { return s.TerminateInstance(id) },
	})
}
