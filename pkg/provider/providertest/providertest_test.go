package providertest_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func sicken(ctx context.Context, g provider.InstanceGroup, id string) error {
	return g.(*providertest.Memory).Sicken(ctx, id)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			return &providertest.Memory{Group: "g", MaxSize: 3, BootMS: 30, DeleteMS: 30, File: filepath.Join(t.TempDir(), "table")}
		},
		Reopen: func(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			o := old.(*providertest.Memory)
			return &providertest.Memory{Group: o.Group, MaxSize: o.MaxSize, File: o.File}
		},
		Sicken: sicken,
	})
}

func TestMemoryFixed(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New:    func(*testing.T) provider.InstanceGroup { return &providertest.Memory{Populated: 2} },
		Fixed:  true,
		Sicken: sicken,
	})
}

// stubs is a group whose optional methods do nothing, as its Init says: plugins of fleeting must have them.
type stubs struct{ providertest.Memory }

func (s *stubs) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	info, err := s.Memory.Init(ctx, log, settings)
	info.Capabilities = []provider.Capability{}
	return info, err
}

func (s *stubs) Heartbeat(context.Context, string) error { return nil }
func (s *stubs) Suspend(context.Context, []string) ([]string, error) {
	return nil, provider.ErrSuspendResumeNotSupported
}
func (s *stubs) Resume(context.Context, []string) ([]string, error) {
	return nil, provider.ErrSuspendResumeNotSupported
}

// TestStubs: what Init says about the capabilities counts, not the methods.
func TestStubs(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{New: func(*testing.T) provider.InstanceGroup { return &stubs{providertest.Memory{MaxSize: 3}} }})
}

// TestSerial: a group that takes turns fulfils the contract as the group does that it wraps.
func TestSerial(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New: func(*testing.T) provider.InstanceGroup {
			return provider.Serial(&providertest.Memory{MaxSize: 3, BootMS: 30, DeleteMS: 30})
		},
	})
}

func TestMemoryRefusesNegativeConfiguration(t *testing.T) {
	_, err := (&providertest.Memory{MaxSize: -1}).Init(t.Context(), hclog.NewNullLogger(), provider.Settings{})
	if provider.KindOf(err) != provider.KindConfig {
		t.Fatalf("Init of a negative max_size: %v", err)
	}
}

// A second handle on the same file sees the machines of the first: as two processes see one cloud.
func TestMemoryIsSharedThroughItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table")
	one, two := &providertest.Memory{File: file}, &providertest.Memory{File: file}
	for _, m := range []*providertest.Memory{one, two} {
		if _, err := m.Init(t.Context(), nil, provider.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := one.Increase(t.Context(), 2); n != 2 || err != nil {
		t.Fatalf("Increase(2) = %d, %v", n, err)
	}
	var ids []string
	if err := two.Update(t.Context(), func(id string, _ provider.State) { ids = append(ids, id) }); err != nil || len(ids) != 2 {
		t.Fatalf("the other handle lists %v, %v", ids, err)
	}
}
