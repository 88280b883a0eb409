package brokengroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// HostKey and Password are those of every machine: whoever emulates a connection compares with them.
const (
	HostKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE63m7sXAFBGjz8B5sNl0XKJyBXaMfjcbYW6D2tE0nBM"
	otherKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMd9nVjVFJ3T0oT1nq7c3j9pK1x6H1lXQpQ0mFhKk7Zr"
	Password = "that-of-the-machine"
)

// Group is the reference group with one fault. Set Break before Init.
type Group struct {
	providertest.Memory

	Break string          `json:"break"` // a name of Faults; empty: none
	Until <-chan struct{} `json:"-"`     // what never returns returns when it is closed; nil: never

	mended atomic.Bool
	lists  atomic.Int64
	busy   atomic.Bool
	mu     sync.Mutex
	known  map[string]bool // ids that were listed once
	gone   string          // an id that was removed
	asked  map[string]bool // ids that Decrease was called for
	count  map[string]int  // of an id: how often it was seen or asked for, as a fault needs it
}

var (
	_ provider.InstanceGroup = (*Group)(nil)
	_ provider.Heartbeater   = (*Group)(nil)
	_ provider.Suspender     = (*Group)(nil)
)

// New returns a group with a fault, whose machines are in file. For claims-heartbeat it has no Heartbeat.
func New(f Fault, file string, until <-chan struct{}) provider.InstanceGroup {
	g := &Group{Break: f.Name, Until: until}
	g.Group, g.MaxSize, g.File, g.BootMS, g.DeleteMS = "broken", 4, file, 20, 20
	if f.Name == "claims-heartbeat" {
		return struct{ provider.InstanceGroup }{g}
	}
	return g
}

// Sicken makes a machine unhealthy.
func Sicken(ctx context.Context, g provider.InstanceGroup, id string) error {
	b, ok := g.(*Group)
	if !ok {
		return errors.New("the group has no heartbeat")
	}
	return b.Memory.Sicken(ctx, id)
}

// Dial compares what a connection would compare.
func Dial(_ context.Context, info provider.ConnectInfo) error {
	switch {
	case info.Password != Password:
		return errors.New("permission denied")
	case len(info.HostKeys) == 1 && info.HostKeys[0] == otherKey:
		return errors.New("the host key is another one")
	}
	return nil
}

// fault returns the name of the fault, if it is not mended.
func (g *Group) fault() string {
	if g.mended.Load() {
		return ""
	}
	return g.Break
}

// Mend ends the fault, and Spoil begins it again. What never returns is not affected: see Until.
func (g *Group) Mend() { g.mended.Store(true) }

// Spoil begins the fault after Mend.
func (g *Group) Spoil() { g.mended.Store(false) }

func (g *Group) is(name string) bool { return g.fault() == name }

// block never returns, whatever happens to the context of the call.
func (g *Group) block() { <-g.Until }

// alone returns an error if another call is running, as a type that was written for one caller may.
func (g *Group) alone() (done func(), err error) {
	if !g.is("serial") {
		return func() {}, nil
	}
	if !g.busy.CompareAndSwap(false, true) {
		return nil, errors.New("another operation is in progress")
	}
	time.Sleep(5 * time.Millisecond) // so that calls which are made at once do overlap
	return func() { g.busy.Store(false) }, nil
}

// Init implements provider.InstanceGroup.
func (g *Group) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.known, g.asked, g.count = map[string]bool{}, map[string]bool{}, map[string]int{}
	switch g.fault() {
	case "init-fails":
		return provider.ProviderInfo{}, errors.New("the moon is down")
	case "init-panics":
		panic("assignment to entry in nil map")
	case "init-blocks":
		g.block()
	case "start-forgets":
		g.File = ""
	}
	info, err := g.Memory.Init(ctx, log, settings)
	if err == nil {
		err = g.begin(ctx)
	}
	switch g.fault() {
	case "id-empty":
		info.ID = ""
	case "id-control":
		info.ID = "broken\x1b[2J"
	case "id-changes":
		info.ID = fmt.Sprint("broken/", time.Now().UnixNano())
	case "size-negative":
		info.MaxSize = -1
	case "claims-heartbeat":
		info.Capabilities = []provider.Capability{provider.CapabilityHeartbeat}
	case "claims-suspend":
		info.Capabilities = []provider.Capability{provider.CapabilityHeartbeat, provider.CapabilitySuspendResume}
	}
	return info, err
}

// begin does what Init should not do.
func (g *Group) begin(ctx context.Context) error {
	switch g.fault() {
	case "start-deletes":
		return g.removeAll(ctx)
	case "start-loses-booting":
		return g.removeUnseen(ctx)
	case "leaks-goroutine":
		go g.block()
	case "leaks-process":
		return leakProcess()
	case "leaks-file":
		f, err := os.CreateTemp("", "broken-*")
		if err != nil {
			return err
		}
		return f.Close()
	case "orphan-stays":
		return mourn("exec sleep 60", g.File)
	case "orphan-deletes":
		return avenge(g.File)
	}
	return nil
}

// machines returns the ids of the machines in a state, or of all.
func (g *Group) machines(ctx context.Context, state provider.State) (ids []string, err error) {
	err = g.Memory.Update(ctx, func(id string, s provider.State) {
		if state == "" || s == state {
			ids = append(ids, id)
		}
	})
	return ids, err
}

func (g *Group) removeAll(ctx context.Context) error {
	ids, err := g.machines(ctx, "")
	if err != nil {
		return err
	}
	_, err = g.Memory.Decrease(ctx, ids)
	return err
}

// another returns a running machine that is not one of ids.
func (g *Group) another(ctx context.Context, ids []string) []string {
	running, _ := g.machines(ctx, provider.StateRunning)
	for _, id := range running {
		if !contains(ids, id) {
			return []string{id}
		}
	}
	return nil
}

func contains(ids []string, id string) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// Shutdown implements provider.InstanceGroup.
func (g *Group) Shutdown(ctx context.Context) error {
	switch g.fault() {
	case "shutdown-deletes":
		return g.removeAll(ctx)
	case "shutdown-fails":
		return errors.New("the connection was closed already")
	case "shutdown-panics":
		panic("close of closed channel")
	case "shutdown-blocks":
		g.block()
	}
	return g.Memory.Shutdown(ctx)
}
