package brokengroup

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// laterLists is how many lists a removal takes with a fault of repeated removals. It is not a time, so that a slow machine finds them too.
const laterLists = 20

// again reports whether the fault is about a removal that is repeated.
func (g *Group) again() bool { return g.is("decrease-again-fails") || g.is("decrease-again-other") }

// removeLater removes the machines whose removal was accepted some lists ago.
func (g *Group) removeLater(ctx context.Context) error {
	if !g.again() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, n := range g.count {
		if n > 0 {
			g.count[id]++
		}
		if n == laterLists {
			g.count[id] = 0
			if _, err := g.Memory.Decrease(ctx, []string{id}); err != nil {
				return err
			}
		}
	}
	return nil
}

const seenSuffix = ".seen"

// sight stores the machines that were listed as running twice.
func (g *Group) sight(entries []entry) {
	for _, e := range entries {
		if e.state != provider.StateRunning {
			continue
		}
		if g.count[e.id]++; g.count[e.id] == 2 {
			raw, _ := os.ReadFile(g.File + seenSuffix)
			_ = os.WriteFile(g.File+seenSuffix, append(raw, e.id+"\n"...), 0o600)
		}
	}
}

// removeUnseen removes the machines that are not stored.
func (g *Group) removeUnseen(ctx context.Context) error {
	ids, err := g.machines(ctx, "")
	if err != nil {
		return err
	}
	raw, _ := os.ReadFile(g.File + seenSuffix)
	seen := strings.Fields(string(raw))
	_, err = g.Memory.Decrease(ctx, slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(seen, id) }))
	return err
}
