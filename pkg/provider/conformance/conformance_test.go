package conformance_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func sicken(ctx context.Context, g provider.InstanceGroup, id string) error {
	return g.(*providertest.Memory).Sicken(ctx, id)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "table")
	target := conformance.InProcess(func() provider.InstanceGroup {
		return &providertest.Memory{Group: "g", MaxSize: 3, BootMS: 30, DeleteMS: 30, File: file}
	}, false)
	r := conformance.Run(t.Context(), target, conformance.Options{Live: true, Sicken: sicken, Poll: 20 * time.Millisecond})
	for _, res := range r.Results {
		t.Logf("%-22s %-12s %s %v %v", res.ID, res.Status, res.Reason, res.Findings, res.Took)
	}
	t.Log(r.Latency, r.Took, r.Left, r.Info)
}
