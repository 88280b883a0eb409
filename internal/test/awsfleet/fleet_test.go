package awsfleet

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

const noIdle = "idle_time = \"1s\"\npreemptive_mode = false"

// TestThrottled: the cloud throttles every kind of call while 20 machines come and go. All jobs run, and the fleet goes to zero.
func TestThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{
		group:  ec2.GroupConfig{Max: 20},
		cloud:  ec2.Config{Throttle: map[string]ec2.Bucket{"*": {Size: 2, PerSecond: 5}}},
		policy: noIdle,
	})
	var jobs []*job
	for i := range 20 {
		jobs = append(jobs, w.job(fmt.Sprintf("job-%02d", i+1), "gate"))
	}
	w.fleet("20 jobs run at once", func(f *taskscaler.Status) bool { return f.Counts.Leases == 20 })
	throttled := w.cloud.Server.Throttled()
	w.open("gate")
	for _, j := range jobs {
		j.good()
	}
	w.atRest()
	if throttled == 0 {
		t.Error("no call was throttled while the fleet grew")
	}
	t.Logf("%d machines for 20 jobs; %d calls were throttled while they came, %d in all", w.cloud.Server.Launched(), throttled, w.cloud.Server.Throttled())
	w.drained()
}

// TestSpotInterruption: AWS announces that it takes a machine back. The holder is told long before AWS takes it, no job is sent to it any more, and a
// successor is asked for although no job waits.
func TestSpotInterruption(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{
		group: ec2.GroupConfig{Max: 4, Spot: true}, cloud: ec2.Config{Notice: hang},
		policy: "idle_count = 1\nidle_time = \"1h\"\npreemptive_mode = false",
	})
	w.open("proof")
	w.job("proof", "proof").good() // a machine that goes before its first job has ended counts as a failed boot, and creates back off
	held := w.job("held", "never")
	dead := held.on()
	w.fleet("another machine is idle", func(f *taskscaler.Status) bool { return f.Counts.Idle == 1 && f.Counts.Existing() == 2 })
	noticed := time.Now()
	w.must(w.cloud.Server.Interrupt(dead))
	held.lost("the provider is deleting it")
	t.Logf("the holder was told %v after the notice; lists are %v apart", time.Since(noticed), updateInterval)
	if w.cloud.Server.Calls()["autoscaling:TerminateInstanceInAutoScalingGroup"] == 0 && w.state(dead) != "running" {
		t.Errorf("the machine is %s: its holder was told too late", w.state(dead))
	}
	next := w.job("next", "gate")
	if on := next.on(); on == dead {
		t.Error("a job was sent to the machine that is interrupted")
	}
	w.fleet("there is a successor", func(f *taskscaler.Status) bool { return f.Counts.Leases == 1 && f.Counts.Idle == 1 })
	t.Logf("the successor was ready %v after the notice", time.Since(noticed))
	if time.Since(noticed) > hang {
		t.Skip("this machine is so busy that AWS's notice has ended")
	}
	w.open("gate")
	next.good()
	w.drained()
}

// TestTerminatedInTheConsole: a person terminates the machine of a job. Its holder is told, and the next job gets another one.
func TestTerminatedInTheConsole(t *testing.T) {
	t.Parallel()
	// A group takes a minute to see it. Before that, the manager has deleted the machine, so the group launches none in its place.
	w := newWorld(t, settings{group: ec2.GroupConfig{Max: 4, Suspended: []string{"ReplaceUnhealthy"}}, policy: noIdle})
	held := w.job("held", "never")
	dead := held.on()
	w.must(w.cloud.Server.TerminateInstance(dead))
	held.failed()
	next := w.job("next", "gate")
	if on := next.on(); on == dead {
		t.Error("a job was sent to the machine that was terminated")
	}
	w.open("gate")
	next.good()
	w.atRest()
	w.drained()
}

// TestAPIAway: the API is away while a job runs. The job ends as if nothing was wrong, a new job waits, and afterwards it runs on the same machine: nothing
// was concluded from failing calls.
func TestAPIAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{group: ec2.GroupConfig{Max: 1}, policy: "idle_time = \"1h\"\npreemptive_mode = false"})
	first := w.job("first", "gate")
	machine := first.on()
	w.cloud.Server.Fail(ec2.FaultSpec{Action: "*", Times: -1, Status: http.StatusServiceUnavailable})
	w.fleet("a list fails", func(f *taskscaler.Status) bool { return f.Lists.Failing })
	w.open("gate")
	first.good()
	next := w.job("next", "gate")
	w.fleet("the next job waits or runs", func(f *taskscaler.Status) bool {
		return f.Counts.Waiters == 1 || f.Counts.Leases == 1 || !next.Running()
	})
	w.cloud.Server.Heal()
	next.good()
	if on := next.on(); on != machine {
		t.Errorf("the next job ran on %s and not on %s, the only machine", on, machine)
	}
	w.drained()
}
