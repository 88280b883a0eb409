package conformance_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
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

// blinking is a Memory that leaves out its first machine once: in one list, and in the ConnectInfo that follows.
type blinking struct {
	providertest.Memory
	mu    sync.Mutex
	lists int    // since the machine ran
	gone  string // in this list
}

func (b *blinking) Update(ctx context.Context, update func(string, provider.State)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = ""
	return b.Memory.Update(ctx, func(id string, s provider.State) {
		if s == provider.StateRunning && b.gone == "" {
			if b.lists++; b.lists == 2 {
				b.gone = id
				return
			}
		}
		update(id, s)
	})
}

func (b *blinking) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id == b.gone {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindNotFound, "%s is not there", id)
	}
	return b.Memory.ConnectInfo(ctx, id)
}

// TestMachineThatComesBack: a machine that one list left out counts again from the next one on. So the run removes it in the end: it costs money.
func TestMachineThatComesBack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "table")
	target := conformance.InProcess(func() provider.InstanceGroup {
		return &blinking{Memory: providertest.Memory{Group: "g", MaxSize: 4, BootMS: 20, DeleteMS: 20, File: file}}
	}, false)
	o := limits(false)
	o.Sicken, o.Only = nil, []string{"beside", "decrease-exact", "list-complete"}
	r := conformance.Run(t.Context(), target, o)
	if got := r.Failed(); !slices.Equal(got, []string{"list-complete"}) || len(r.Left) > 0 {
		t.Errorf("found by %q\n%s", got, table(r))
	}
	left := &providertest.Memory{Group: "g", File: file}
	if _, err := left.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	if err := left.Update(t.Context(), func(id string, s provider.State) { t.Errorf("%s is left, and is %s", id, s) }); err != nil {
		t.Fatal(err)
	}
}
