package brokengroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

type entry struct {
	id    string
	state provider.State
}

// Update implements provider.InstanceGroup.
func (g *Group) Update(ctx context.Context, update func(id string, state provider.State)) error {
	done, err := g.alone()
	if err != nil {
		return err
	}
	defer done()
	switch g.fault() {
	case "list-fails":
		return errors.New("the API answers nonsense")
	case "list-panics":
		panic("index out of range")
	case "list-blocks":
		g.block()
	case "list-slow":
		<-ctx.Done()
		return ctx.Err()
	case "list-hangs-when-cancelled":
		if ctx.Err() != nil {
			g.block()
		}
	case "prints":
		fmt.Println("listing the machines")
	}
	if err := g.removeLater(ctx); err != nil {
		return err
	}
	var entries []entry
	err = g.Memory.Update(ctx, func(id string, s provider.State) { entries = append(entries, entry{id, s}) })
	if err != nil {
		if g.is("list-half-when-cancelled") {
			return nil
		}
		return err
	}
	g.mu.Lock()
	entries = g.spoil(ctx, entries, int(g.lists.Add(1)))
	g.mu.Unlock()
	for _, e := range entries {
		update(e.id, e.state)
	}
	return ctx.Err()
}

// running returns the position of the first running machine, or -1.
func running(entries []entry) int {
	return slices.IndexFunc(entries, func(e entry) bool { return e.state == provider.StateRunning })
}

// spoil adds the fault to the n-th list.
func (g *Group) spoil(ctx context.Context, entries []entry, n int) []entry {
	for _, e := range entries {
		g.known[e.id] = true
	}
	first := running(entries)
	switch g.fault() {
	case "lock-stays":
		g.unlock(entries)
	case "start-loses-booting":
		g.sight(entries)
	case "list-forgets":
		if first >= 0 && n%2 == 0 {
			return slices.Delete(entries, first, first+1)
		}
	case "list-repeats":
		if first >= 0 {
			return append(entries, entries[len(entries)-1])
		}
	case "list-invents":
		if first >= 0 {
			return append(entries, entry{"zz-ghost", provider.StateRunning})
		}
	case "list-revives":
		return g.revive(entries)
	case "list-loses", "list-deletes":
		return g.lose(ctx, entries)
	}
	return g.spoilStates(g.spoilIDs(entries), n)
}

// revive lists a machine again that was removed, some lists later.
func (g *Group) revive(entries []entry) []entry {
	for id := range g.asked {
		if g.gone == "" && g.known[id] && !slices.ContainsFunc(entries, func(e entry) bool { return e.id == id }) {
			g.gone = id
			return entries
		}
	}
	if g.gone != "" {
		return append(entries, entry{g.gone, provider.StateRunning})
	}
	return entries
}

// lose removes a machine that was listed as running once, or reports it as deleting. What it was is in a file, so that later starts do the same.
func (g *Group) lose(ctx context.Context, entries []entry) []entry {
	const suffix = ".victim"
	at := running(entries)
	raw, err := os.ReadFile(g.File + suffix)
	switch {
	case err != nil && at >= 0:
		_ = os.WriteFile(g.File+suffix, []byte(entries[at].id), 0o600)
		return entries
	case err != nil:
		return entries
	}
	at = slices.IndexFunc(entries, func(e entry) bool { return e.id == string(raw) })
	switch {
	case at < 0:
		return entries
	case g.is("list-deletes"):
		entries[at].state = provider.StateDeleting
	case entries[at].state == provider.StateRunning:
		_, _ = g.Memory.Decrease(ctx, []string{string(raw)})
	}
	return entries
}

func (g *Group) spoilIDs(entries []entry) []entry {
	for i := range entries {
		switch g.fault() {
		case "ids-control":
			entries[i].id = "\x1b[31m" + entries[i].id
		case "ids-long":
			entries[i].id = strings.Repeat("x", 600) + entries[i].id
		case "ids-bytes":
			entries[i].id = "caf\xe9-" + entries[i].id
		}
	}
	if g.is("ids-empty") && len(entries) > 0 {
		return append(entries, entry{"", provider.StateRunning})
	}
	return entries
}

func (g *Group) spoilStates(entries []entry, n int) []entry {
	for i := range entries {
		e := &entries[i]
		switch {
		case g.is("state-unknown") && e.state == provider.StateCreating:
			e.state = "BOOTING"
		case g.is("state-empty") && e.state == provider.StateCreating:
			e.state = ""
		case g.is("state-backwards") && e.state == provider.StateRunning && n%5 == 0:
			e.state = provider.StateCreating
		case g.again() && g.count[e.id] > 0:
			e.state = provider.StateDeleting
		case g.is("state-never") && e.state == provider.StateRunning:
			e.state = provider.StateCreating
		}
	}
	if g.is("decrease-stays") {
		for id := range g.asked {
			if g.known[id] && !slices.ContainsFunc(entries, func(e entry) bool { return e.id == id }) {
				entries = append(entries, entry{id, provider.StateDeleting})
			}
		}
	}
	return entries
}
