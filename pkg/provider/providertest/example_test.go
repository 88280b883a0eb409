package providertest_test

import (
	"context"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// The test of a provider: one function. Here it tests the reference provider.
func Example() {
	_ = func(t *testing.T) { // func TestMyCloud(t *testing.T)
		providertest.Run(t, providertest.Options{
			New: func(*testing.T) provider.InstanceGroup {
				return &providertest.Memory{Group: "builders", MaxSize: 3}
			},
			Sicken: func(ctx context.Context, g provider.InstanceGroup, id string) error {
				return g.(*providertest.Memory).Sicken(ctx, id)
			},
		})
	}
}
