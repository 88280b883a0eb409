package conformance_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/brokengroup"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// limits returns options whose time limits only a fault that is found by them reaches.
func limits(slow bool) conformance.Options {
	o := conformance.Options{
		Live: true, Machines: 4, Poll: 20 * time.Millisecond, Timeout: time.Minute, CallTimeout: time.Minute, Give: time.Minute,
		Sicken: brokengroup.Sicken, Dial: brokengroup.Dial,
	}
	if slow {
		o.Timeout, o.CallTimeout, o.Give = 6*time.Second, 6*time.Second, 6*time.Second
	}
	return o
}

// TestFaults: each fault is found by exactly the checks of the table. All groups run at once, because those with a fault that is found by a time limit
// only wait.
func TestFaults(t *testing.T) {
	t.Parallel()
	until, dir := make(chan struct{}), t.TempDir()
	type outcome struct {
		fault  brokengroup.Fault
		report conformance.Report
	}
	faults := append(brokengroup.Faults(), brokengroup.Fault{Name: "none", Finds: []string{}})
	outcomes := make([]outcome, len(faults))
	turns := make(chan bool, 8)
	var all sync.WaitGroup
	for i, f := range faults {
		if f.Finds == nil {
			continue
		}
		all.Go(func() {
			if !f.Slow {
				turns <- true
				defer func() { <-turns }()
			}
			target := conformance.InProcess(func() provider.InstanceGroup { return brokengroup.New(f, filepath.Join(dir, f.Name), until) }, false)
			outcomes[i] = outcome{f, conformance.Run(t.Context(), target, limits(f.Slow))}
		})
	}
	all.Wait()
	close(until)
	for _, o := range outcomes {
		if o.fault.Name == "" {
			continue
		}
		got := o.report.Failed()
		if !slices.Equal(got, o.fault.Finds) {
			t.Errorf("%s (%s): found by %q, want %q\n%s", o.fault.Name, o.fault.What, got, o.fault.Finds, table(o.report))
			continue
		}
		t.Logf("caught %s in %v", o.fault.Name, o.report.Took.Round(time.Millisecond)) // make conformance counts these lines
	}
}

// table shows the results that are no pass.
func table(r conformance.Report) (text string) {
	for _, res := range r.Results {
		if res.Status == conformance.Fail || res.Status == conformance.NotReached && !strings.HasSuffix(res.Reason, "ailed") {
			text += fmt.Sprintf("  %-22s %-11s %s %v\n", res.ID, res.Status, res.Reason, res.Findings)
		}
	}
	return text + fmt.Sprintf("  left %q, after %v", r.Left, r.Took)
}
