package plugincheck_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/brokengroup"
	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/internal/plugincheck"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

const beHost = "PLUGINCHECK_TEST_HOST"

// TestMain is also the host that the check of orphans kills.
func TestMain(m *testing.M) {
	if os.Getenv(beHost) != "" {
		if err := plugincheck.Host(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	leakcheck.Main(m)
}

func host() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), beHost+"=1")
	return cmd
}

func build(t *testing.T, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", bin, pkg).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return bin
}

// check runs the checks on a plugin with one fault.
func check(t *testing.T, bin string, f brokengroup.Fault) (conformance.Report, error) {
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{"group": "broken", "max_size": 4, "boot_ms": 20, "delete_ms": 20, "file": filepath.Join(dir, "table"), "break": f.Name})
	if err != nil {
		return conformance.Report{}, err
	}
	limit := time.Minute
	if f.Slow {
		limit = 6 * time.Second
	}
	target, err := plugincheck.New(plugin.LaunchOptions{
		Path: bin, Dir: dir, Config: config, Env: []string{"BROKEN_PLUGIN=" + f.Name}, InitTimeout: limit, ShutdownTimeout: limit, StartTimeout: time.Minute,
	}, dir, host)
	if err != nil {
		return conformance.Report{}, err
	}
	return conformance.Run(t.Context(), target, conformance.Options{
		Live: true, Machines: 4, Poll: 20 * time.Millisecond, Timeout: limit, CallTimeout: 2 * limit, Give: limit, Dial: brokengroup.Dial,
	}), nil
}

// TestFaults: the faults that need a process, and some others, are found in a process by exactly the checks of the table.
func TestFaults(t *testing.T) {
	t.Parallel()
	bin := build(t, "github.com/taskscaler/taskscaler/internal/brokengroup/cmd/fleeting-plugin-broken")
	turns := make(chan bool, 8)
	var all sync.WaitGroup
	for _, f := range append(brokengroup.Faults(), brokengroup.Fault{Name: "none", Process: []string{}}) {
		if f.Process == nil {
			continue
		}
		all.Go(func() {
			turns <- true
			defer func() { <-turns }()
			fault := f
			if f.Name == "none" {
				fault.Name = ""
			}
			r, err := check(t, bin, fault)
			got := r.Failed()
			if err != nil || !slices.Equal(got, f.Process) {
				t.Errorf("%s (%s): found by %q, want %q, %v\n%s", f.Name, f.What, got, f.Process, err, table(r))
				return
			}
			t.Logf("caught %s in %v", f.Name, r.Took.Round(time.Millisecond)) // make conformance counts these lines
		})
	}
	all.Wait()
}

// table shows the results that are no pass.
func table(r conformance.Report) string {
	var b strings.Builder
	for _, res := range r.Results {
		if res.Status == conformance.Fail || res.Status == conformance.NotReached && !strings.HasSuffix(res.Reason, "ailed") {
			fmt.Fprintf(&b, "  %-22s %-11s %s %v\n", res.ID, res.Status, res.Reason, res.Findings)
		}
	}
	fmt.Fprintf(&b, "  left %q, after %v", r.Left, r.Took)
	return b.String()
}
