//go:build unix

package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/taskscaler/taskscaler/internal/descriptors"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// A host whose other descriptors are all in use starts its plugin, starts it again after it was killed, and starts a second process beside it,
// with the descriptors that are reserved for a plugin.
func TestSecurityReserveOfDescriptors(t *testing.T) {
	t.Parallel()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), envStarved+"="+testPlugin, "FREE="+strconv.Itoa(descriptors.Plugin))
	out, err := host.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("with %d free descriptors: %v: %s", descriptors.Plugin, err, out)
	}
}

// actStarved leaves FREE descriptors free, and uses a plugin.
func actStarved(path string) {
	if err := starved(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func starved(path string) error {
	free, err := strconv.Atoi(os.Getenv("FREE"))
	if err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: 200}); err != nil {
		return err
	}
	var taken []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			return err
		}
		taken = append(taken, f)
	}
	for _, f := range taken[len(taken)-free:] {
		_ = f.Close()
	}
	taken = taken[:len(taken)-free]
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	opts := quick(`{}`)
	opts.Path = path
	p, err := plugin.Launch(ctx, opts)
	if err != nil {
		return err
	}
	if _, err := p.Init(ctx, nil, provider.Settings{}); err != nil {
		return err
	}
	if err := syscall.Kill(p.Status().PID, syscall.SIGKILL); err != nil {
		return err
	}
	for s := p.Status(); !s.Up || s.Restarts == 0; s = p.Status() {
		if ctx.Err() != nil {
			return errors.New(s.Reason)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := p.Describe(ctx); err != nil {
		return fmt.Errorf("beside %d files: %w", len(taken), err)
	}
	return p.Close(ctx)
}
