package static

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	managerFile  = "manager"
	managerPause = 100 * time.Millisecond // between two tries
	managerLeft  = 5 * time.Second        // how long the plugin of a manager that was killed may take to end
)

// errOtherManager means that the plugin of another manager works with the folder.
type errOtherManager struct{ who string }

func (e errOtherManager) Error() string {
	return "the hosts are in the hands of another manager, " + e.who
}

// claimDir makes sure that all processes that work with the folder belong to one manager. Two managers would reset each other's hosts while jobs run
// on them. The second process of a reload has the same manager. The claim ends with the process, or with Shutdown.
func (g *InstanceGroup) claimDir(ctx context.Context) error {
	for end := time.Now().Add(managerLeft); ; {
		var other errOtherManager
		err := g.locked(ctx, func(*state) (bool, error) { return false, g.claim() })
		if err == nil || !errors.As(err, &other) {
			return err
		}
		if time.Now().After(end) {
			return provider.Errorf(provider.KindConfig, "dir: %w: stop it, or give this group another dir and other hosts (folder %s)", other, g.Dir)
		}
		select {
		case <-time.After(managerPause):
		case <-ctx.Done():
			return provider.Errorf(provider.KindTransient, "dir: %w: wait for its end: %w", other, context.Cause(ctx))
		}
	}
}

// claim takes the folder for the manager of this process. The lock of the folder is held, so nobody else does that now.
func (g *InstanceGroup) claim() error {
	f, err := os.OpenFile(filepath.Join(g.Dir, managerFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return provider.Errorf(provider.KindConfig, "dir: %w", err)
	}
	me := managerID(g.Manager)
	if tryLock(f) { // no other process works with the folder
		err = errors.Join(f.Truncate(0), writeAt(f, me))
	} else {
		var b [100]byte
		n, _ := f.ReadAt(b[:], 0)
		if text := strings.TrimSpace(string(b[:n])); text != me {
			err = errOtherManager{text}
		}
	}
	if err == nil && !share(f) {
		err = errors.New("lock " + f.Name())
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	g.claimed = f
	return nil
}

// release ends the claim.
func (g *InstanceGroup) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.claimed != nil {
		_ = g.claimed.Close()
		g.claimed = nil
	}
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text+"\n"), 0)
	return err
}

// managerID names a process, and tells it apart from a later one, and from one of another container, that has the same number. pid 0 is this process.
func managerID(pid int) string {
	if pid == 0 {
		pid = os.Getpid()
	}
	id := "process " + strconv.Itoa(pid)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil { // not Linux
		return id
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	const start = 19 // field 22 of the line: when it started, in ticks since the boot
	if fields := strings.Fields(rest); len(fields) > start {
		id += " (started at tick " + fields[start] + ")"
	}
	return id
}
