package aws

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	describeGroups = "autoscaling:DescribeAutoScalingGroups"
	setDesired     = "autoscaling:SetDesiredCapacity"
	terminate      = "autoscaling:TerminateInstanceInAutoScalingGroup"
	activities     = "autoscaling:DescribeScalingActivities"
)

// fails returns n launches that AWS refuses for the same reason.
func fails(t *testing.T, code string, n int) []ec2.LaunchFault {
	t.Helper()
	fault, ok := ec2.LaunchFaults()[code]
	if !ok {
		t.Fatalf("the server does not know %s", code)
	}
	return slices.Repeat([]ec2.LaunchFault{fault}, n)
}

func TestIncrease(t *testing.T) {
	r := open(t, ciGroup())
	n, err := r.Increase(t.Context(), 3)
	r.want("accepted", [2]any{n, err}, [2]any{3, nil})
	r.want("desired", r.desired(), 3)
	r.want("calls", r.cloud.Calls()[setDesired], 1)
	r.running(3)
	if _, err := r.Increase(t.Context(), 2); err != nil {
		t.Error(err)
	}
	r.running(5)
	r.want("desired", r.desired(), 5)
}

// TestIncreaseAboveTheMaximum: what fits is granted, and the rest is a quota. Any number may be asked for.
func TestIncreaseAboveTheMaximum(t *testing.T) {
	r := open(t, ciGroup())
	for _, c := range []struct{ ask, grant int }{{7, 7}, {1 << 62, 3}, {1, 0}} {
		n, err := r.Increase(t.Context(), c.ask)
		kind := failure.None
		if c.grant < c.ask {
			kind = provider.KindQuota
		}
		r.want("accepted", [2]any{n, provider.KindOf(err)}, [2]any{c.grant, kind})
		if err != nil && !strings.Contains(err.Error(), "at most 10 instances: raise its maximum capacity") {
			t.Error(err)
		}
	}
	r.running(10)
	r.want("calls", r.cloud.Calls()[setDesired], 2)
}

// TestIncreaseWithoutMachines: AWS accepts the capacity, and launches nothing. The reason is the error of the create, and nothing appears afterwards.
func TestIncreaseWithoutMachines(t *testing.T) {
	for code, kind := range map[string]provider.FailureKind{
		"InsufficientInstanceCapacity": provider.KindCapacity, "VcpuLimitExceeded": provider.KindQuota, "InvalidAMIID.NotFound": provider.KindConfig,
		"InsufficientFreeAddressesInSubnet": provider.KindQuota,
	} {
		t.Run(code, func(t *testing.T) {
			r := open(t, ciGroup())
			if n, err := r.Increase(t.Context(), 2); n != 2 || err != nil {
				t.Fatal(n, err)
			}
			r.running(2)
			if err := r.cloud.FailLaunches("ci", fails(t, code, 1000)...); err != nil {
				t.Fatal(err)
			}
			n, err := r.Increase(t.Context(), 3)
			r.want("accepted", [2]any{n, provider.KindOf(err)}, [2]any{0, kind})
			r.want("desired", r.desired(), 2)
			if err == nil || !strings.Contains(err.Error(), "cannot launch instances: ") {
				t.Error(err)
			}
		})
	}
}

// TestIncreaseInPart: some machines come, and the others do not.
func TestIncreaseInPart(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Model.Quota = cloudmodel.Quota{Limit: 3} }))
	n, err := r.Increase(t.Context(), 5)
	r.want("accepted", [2]any{n, provider.KindOf(err)}, [2]any{3, provider.KindQuota})
	r.want("desired", r.desired(), 3)
	r.running(3)
}

// TestIncreaseWithASecondZone: one launch fails, and the group succeeds a moment later. That is no failure of the create.
func TestIncreaseWithASecondZone(t *testing.T) {
	r := open(t, ciGroup())
	if err := r.cloud.FailLaunches("ci", fails(t, "InsufficientInstanceCapacity", 2)...); err != nil {
		t.Fatal(err)
	}
	n, err := r.Increase(t.Context(), 2)
	r.want("accepted", [2]any{n, err}, [2]any{2, nil})
	r.running(2)
}

// TestIncreaseThatTakesItsTime: the group has not begun when launch_wait is over, so the create counts as accepted. What fails later is logged, and taken
// back before the next create asks for more.
func TestIncreaseThatTakesItsTime(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Reaction, c.Retry = 2*time.Second, time.Hour }), func(g *InstanceGroup) { g.LaunchWait = provider.Duration(50 * time.Millisecond) })
	if err := r.cloud.FailLaunches("ci", fails(t, "InsufficientInstanceCapacity", 1000)...); err != nil {
		t.Fatal(err)
	}
	n, err := r.Increase(t.Context(), 3)
	r.want("accepted", [2]any{n, err}, [2]any{3, nil})
	r.until("reason in the log", func() bool {
		r.list()
		r.mu.Lock()
		r.read = time.Time{} // do not wait for readAgain
		r.mu.Unlock()
		return strings.Contains(r.log.String(), "fewer instances than its desired capacity: missing=3") && strings.Contains(r.log.String(), "sufficient")
	})
	n, err = r.Increase(t.Context(), 1)
	r.want("accepted", [2]any{n, err}, [2]any{1, nil})
	r.want("desired", r.desired(), 1)
}

// TestShutdownTakesBack: what the group cannot launch now must not be launched when the manager is gone.
func TestShutdownTakesBack(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Reaction = time.Second }), func(g *InstanceGroup) { g.LaunchWait = provider.Duration(50 * time.Millisecond) })
	if err := r.cloud.FailLaunches("ci", fails(t, "InsufficientInstanceCapacity", 1000)...); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Increase(t.Context(), 3); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	r.until("reason", func() bool {
		r.list()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.read = time.Time{}
		return r.trouble != nil
	})
	if err := r.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.want("desired", r.desired(), 0)
}

// TestDecrease: exactly these are terminated, each lowers the capacity once, and what AWS does not know is gone.
func TestDecrease(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Model.Delete = cloudmodel.Constant(300 * time.Millisecond) }))
	if _, err := r.Increase(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	ids := r.running(4)
	for range 3 { // a repeated delete is accepted, and lowers nothing
		gone, err := r.Decrease(t.Context(), []string{ids[1], "i-0123456789abcdef0", ids[3]})
		r.want("accepted", len(gone), 3)
		r.want("error", err, nil)
		r.want("desired", r.desired(), 2)
		r.list()
	}
	left := r.running(2)
	if slices.Contains(left, ids[1]) || slices.Contains(left, ids[3]) {
		t.Errorf("%v are left of %v", left, ids)
	}
	r.want("terminations", r.cloud.Calls()[terminate], 3) // one for each id: they are gone, or are on their way
	if gone, err := r.Decrease(t.Context(), nil); gone != nil || err != nil {
		t.Error(gone, err)
	}
}

// TestGrowAndShrinkTogether: creates and terminations run at the same time, and the capacity is right at the end.
func TestGrowAndShrinkTogether(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Max = 100; c.Reaction = time.Millisecond }))
	made, ended := 0, 0
	var all sync.WaitGroup
	all.Go(func() {
		for range 15 {
			n, err := r.Increase(t.Context(), 2)
			if err != nil {
				t.Error(err)
			}
			made += n
		}
	})
	all.Go(func() {
		done := map[string]bool{}
		for end := time.Now().Add(hangs); ended < 12 && time.Now().Before(end); {
			var ids []string
			for id, s := range r.list() {
				if s == provider.StateRunning && !done[id] && len(ids) < 3 {
					ids = append(ids, id)
					done[id] = true
				}
			}
			gone, err := r.Decrease(t.Context(), ids)
			if err != nil {
				t.Error(err)
			}
			ended += len(gone)
			time.Sleep(2 * time.Millisecond) // the other one needs the processor too
		}
	})
	all.Wait()
	r.want("desired", r.desired(), made-ended)
	r.running(made - ended)
}

// TestMinimum: an instance that the minimum needs is not terminated, because the group would replace it. The error says what to change.
func TestMinimum(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Min, c.Desired = 1, 1 }))
	id := r.running(1)[0]
	gone, err := r.Decrease(t.Context(), []string{id})
	if len(gone) > 0 || provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "minimum capacity of the Auto Scaling group, which is 1: set it to 0") {
		t.Errorf("%v, %v", gone, err)
	}
	if !strings.Contains(r.log.String(), "minimum capacity of the group is 1") {
		t.Errorf("Init does not warn: %s", r.log)
	}
}

// TestThrottledTerminations: AWS refuses many of the calls, and each instance goes nevertheless.
func TestThrottledTerminations(t *testing.T) {
	r := open(t, ciGroup())
	if _, err := r.Increase(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	ids := r.running(6)
	r.cloud.Fail(ec2.FaultSpec{Action: terminate, Times: 3, Code: "Throttling", Message: "Rate exceeded"})
	gone, err := r.Decrease(t.Context(), ids)
	r.want("accepted", len(gone), 6)
	r.want("error", err, nil)
	r.want("desired", r.desired(), 0)
}

// set sets the desired capacity as a person does.
func (r *rig) set(n int32) {
	r.t.Helper()
	if _, err := r.api.scaling.SetDesiredCapacity(r.t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("ci"), DesiredCapacity: aws.Int32(n)}); err != nil {
		r.t.Fatal(err)
	}
}

// TestIncreaseOfAGroupWithMore: the group has more instances than it was asked for, because they are protected. The create is on top of what is there.
func TestIncreaseOfAGroupWithMore(t *testing.T) {
	r := open(t, ciGroup())
	if _, err := r.Increase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	ids := r.running(2)
	r.set(0)
	n, err := r.Increase(t.Context(), 1)
	r.want("accepted", [2]any{n, err}, [2]any{1, nil})
	r.want("desired", r.desired(), 3)
	r.running(3)
	r.set(0)
	gone, err := r.Decrease(t.Context(), ids) // the capacity cannot be lowered any more, and nothing is replaced
	r.want("removed", [2]any{len(gone), err}, [2]any{2, nil})
	r.running(1)
}

// TestIncreaseOfAGroupWithAMinimum: the capacity is not set back below the minimum, which AWS would refuse.
func TestIncreaseOfAGroupWithAMinimum(t *testing.T) {
	s := startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{ciGroup(func(c *ec2.GroupConfig) { c.Min, c.Desired, c.Reaction = 1, 1, 50*time.Millisecond })}})
	if err := s.FailLaunches("ci", fails(t, "InsufficientInstanceCapacity", 1000)...); err != nil {
		t.Fatal(err)
	}
	r := attach(t, s)
	n, err := r.Increase(t.Context(), 2)
	r.want("accepted", [2]any{n, provider.KindOf(err)}, [2]any{0, provider.KindCapacity})
	r.want("desired", r.desired(), 1)
}

// TestTerminationWaitsForACreate: between the list that a create counts and the capacity that it sets, no termination lowers the capacity: it would be undone.
func TestTerminationWaitsForACreate(t *testing.T) {
	r := open(t, ciGroup())
	if _, err := r.Increase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	id := r.running(2)[0]
	before := r.cloud.Calls()[describeGroups]
	r.cloud.Fail(ec2.FaultSpec{Action: describeGroups, Delay: time.Second})
	var all sync.WaitGroup
	all.Go(func() {
		if n, err := r.Increase(t.Context(), 1); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
	r.until("list of the create", func() bool { return r.cloud.Calls()[describeGroups] > before })
	if gone, err := r.Decrease(t.Context(), []string{id}); len(gone) != 1 || err != nil {
		t.Error(gone, err)
	}
	all.Wait()
	r.want("desired", r.desired(), 2)
	r.running(2)
}
