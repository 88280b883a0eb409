package fake

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			g := &InstanceGroup{Dir: filepath.Join(t.TempDir(), "made", "group")}
			g.MaxSize = 3
			t.Cleanup(func() { emptyAgain(t, g.Dir) })
			return g
		},
		Reopen: func(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			g := &InstanceGroup{Dir: old.(*InstanceGroup).Dir}
			g.MaxSize = 3
			return g
		},
		Sicken: func(ctx context.Context, g provider.InstanceGroup, id string) error {
			f, err := g.(*InstanceGroup).lookUp(ctx, id)
			if err != nil {
				return err
			}
			return os.WriteFile(f.path(unhealthyFile), nil, 0o600)
		},
	})
}

// emptyAgain deletes the instances of a group that the suite has shut down.
func emptyAgain(t *testing.T, dir string) {
	g := &InstanceGroup{Dir: dir}
	if _, err := g.Init(context.Background(), nil, provider.Settings{}); err != nil {
		t.Error(err)
		return
	}
	emptied(t, g)
}
