package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// chaos kills processes at random.
type chaos struct {
	site           *site
	clients        *clients
	rand           *rand.Rand
	minGap, maxGap time.Duration
	view           *view
}

// run kills one process after the other until over ends. It completes what it has begun, within ctx. When it returns nil, a manager serves
// and no plugin is frozen. It returns an error if a manager cannot be started.
func (c *chaos) run(over, ctx context.Context) error {
	var deck []func(ctx context.Context, n int) bool
	for pause(over, c.minGap+time.Duration(c.rand.Int64N(int64(c.maxGap-c.minGap)+1))) {
		for struck := false; !struck; {
			if len(deck) == 0 {
				deck = c.deck()
			}
			at := c.rand.IntN(len(deck))
			if struck = deck[at](ctx, c.rand.IntN(1<<30)); struck {
				deck = slices.Delete(deck, at, at+1)
			} else if !pause(over, 50*time.Millisecond) { // no process to kill at the moment: try this strike again later
				break
			}
		}
		if err := c.revive(ctx); err != nil {
			return err
		}
	}
	return c.revive(ctx)
}

// deck returns twenty strikes in a random order. Each one reports whether there was a process that it could strike.
func (c *chaos) deck() (all []func(context.Context, int) bool) {
	add := func(n int, strike func(context.Context, int) bool) {
		all = append(all, slices.Repeat([]func(context.Context, int) bool{strike}, n)...)
	}
	add(7, func(ctx context.Context, n int) bool { c.killManager(ctx, n); return true })
	add(4, func(context.Context, int) bool { return c.signalPlugin(check.PluginKilled, syscall.SIGKILL) != 0 })
	add(1, c.freezePlugin)
	add(3, func(_ context.Context, n int) bool { return c.clients.hit(n, syscall.SIGKILL, check.ClientKilled) })
	add(2, func(_ context.Context, n int) bool { return c.clients.hit(n, syscall.SIGINT, check.ClientCancelled) })
	add(2, func(_ context.Context, n int) bool { return c.killMachine(n) })
	add(1, func(_ context.Context, n int) bool { return c.breakMachine(n) })
	return all
}

// killManager kills the manager. Sometimes it also kills another process at the same time, or the next manager while it starts.
func (c *chaos) killManager(ctx context.Context, n int) {
	m := c.site.current()
	if n%5 == 0 { // the caller and the manager at once: no caller reattaches to the lease
		c.clients.hit(n/5, syscall.SIGKILL, check.ClientKilled)
	}
	c.kill(m)
	pause(ctx, time.Duration(n/7%1500)*time.Millisecond)
	if n%4 != 0 {
		return
	}
	if next, err := c.site.startManager(); err == nil {
		pause(ctx, time.Duration(n/11%400)*time.Millisecond)
		c.kill(next)
	}
}

func (c *chaos) kill(m *stage.Process) {
	if !m.Running() {
		return
	}
	c.site.away.Store(true)
	c.site.log.put(check.Entry{Event: check.ManagerKilled, PID: m.PID()})
	m.Signal(syscall.SIGKILL)
	<-m.Ended()
}

// revive starts a manager if none runs, and waits until it serves.
func (c *chaos) revive(ctx context.Context) error {
	m := c.site.current()
	if m.Running() {
		return nil
	}
	m, err := c.site.startManager()
	if err != nil {
		return err
	}
	return c.site.serving(ctx, m)
}

// signalPlugin sends a signal to the manager's plugin and returns its process id, or 0 if there is no plugin at the moment.
func (c *chaos) signalPlugin(e check.Event, sig syscall.Signal) int {
	pid := pluginOf(c.site.current().PID())
	if pid != 0 {
		c.site.log.put(check.Entry{Event: e, PID: pid})
		_ = syscall.Kill(pid, sig)
	}
	return pid
}

// freezePlugin suspends the plugin for a time that is shorter or longer than the manager needs to notice this and to replace it.
func (c *chaos) freezePlugin(ctx context.Context, n int) bool {
	pid := c.signalPlugin(check.PluginFrozen, syscall.SIGSTOP)
	if pid == 0 {
		return false
	}
	pause(ctx, time.Duration(300+n%6000)*time.Millisecond)
	if isPlugin(pid) { // it may have been replaced
		c.site.log.put(check.Entry{Event: check.PluginThawed, PID: pid})
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	return true
}

// killMachine kills an instance's process.
func (c *chaos) killMachine(n int) bool {
	booted, ok := c.machine(n)
	if !ok || !c.site.isMachine(booted.PID, booted.Instance) {
		return false
	}
	c.site.log.put(check.Entry{Event: check.MachineKilled, PID: booted.PID, Instance: booted.Instance})
	_ = syscall.Kill(booted.PID, syscall.SIGKILL)
	return true
}

// breakMachine makes an instance's heartbeats fail.
func (c *chaos) breakMachine(n int) bool {
	booted, ok := c.machine(n)
	if !ok {
		return false
	}
	c.site.log.put(check.Entry{Event: check.MachineBroken, Instance: booted.Instance})
	folders, _ := filepath.Glob(filepath.Join(c.site.Dir, machineFolder, "*", booted.Instance)) // the pattern is well-formed
	for _, folder := range folders {
		_ = os.WriteFile(filepath.Join(folder, "unhealthy"), nil, 0o600) // the folder may be removed at this moment
	}
	return true
}

// machine returns the boot record of an instance that is alive.
func (c *chaos) machine(n int) (booted record.Entry, ok bool) {
	entries, err := record.ReadDir(filepath.Join(c.site.Dir, recordFolder))
	if err != nil {
		return booted, false
	}
	serving := map[string]bool{}
	var boots []record.Entry
	for _, e := range entries {
		switch {
		case e.Event == record.Booted:
			serving[e.Instance] = true
			boots = append(boots, e)
		case e.Event == record.Deleting || e.Event.Ends():
			delete(serving, e.Instance)
		}
	}
	var candidates []record.Entry
	for _, b := range boots {
		if serving[b.Instance] {
			candidates = append(candidates, b)
		}
	}
	if len(candidates) == 0 {
		return booted, false
	}
	return candidates[n%len(candidates)], true
}
