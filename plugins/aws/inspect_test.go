package aws

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// good is a group as the set-up in the documentation makes it.
func good() group {
	return group{
		AutoScalingGroupName: aws.String("ci"), MinSize: aws.Int32(0), DesiredCapacity: aws.Int32(1), MaxSize: aws.Int32(5), AvailabilityZones: []string{"eu-west-1a", "eu-west-1b"},
		NewInstancesProtectedFromScaleIn: aws.Bool(true), SuspendedProcesses: []types.SuspendedProcess{{ProcessName: aws.String("AZRebalance")}},
		Instances: []member{{InstanceId: aws.String("i-1"), LifecycleState: types.LifecycleStateInService, HealthStatus: aws.String("Healthy"), ProtectedFromScaleIn: aws.Bool(true)}},
	}
}

func TestWarnings(t *testing.T) {
	if list := append(sizes(good()), replacements(good())...); len(list) > 0 || impossible(good()) != nil {
		t.Errorf("a good group: %q, %v", list, impossible(good()))
	}
	for want, spoil := range map[string]func(*group){
		"minimum capacity of the group is 2":        func(a *group) { a.MinSize = aws.Int32(2) },
		"desired capacity of the group is 4, and 1": func(a *group) { a.DesiredCapacity = aws.Int32(4) },
		"not protected from scale-in":               func(a *group) { a.NewInstancesProtectedFromScaleIn = nil },
		"1 instances of the group are older":        func(a *group) { a.Instances[0].ProtectedFromScaleIn = aws.Bool(false) },
		"suspend the process AZRebalance":           func(a *group) { a.SuspendedProcesses = nil },
		"Capacity rebalancing is on":                func(a *group) { a.CapacityRebalance = aws.Bool(true) },
		"maximum instance lifetime is 86400 s":      func(a *group) { a.MaxInstanceLifetime = aws.Int32(86400) },
		"has a warm pool":                           func(a *group) { a.WarmPoolConfiguration = &types.WarmPoolConfiguration{} },
	} {
		a := good()
		spoil(&a)
		list := append(sizes(a), replacements(a)...)
		if len(list) != 1 || !strings.Contains(list[0], want) || !strings.Contains(list[0], "(") && !strings.Contains(list[0], "desired") {
			t.Errorf("%s: %q", want, list)
		}
	}
	one := good()
	one.AvailabilityZones, one.SuspendedProcesses = one.AvailabilityZones[:1], nil
	if list := replacements(one); len(list) > 0 {
		t.Errorf("a group with one zone has nothing to balance: %q", list)
	}
}

func TestImpossible(t *testing.T) {
	for want, spoil := range map[string]func(*group){
		"being deleted (Delete in progress)": func(a *group) { a.Status = aws.String("Delete in progress") },
		"maximum capacity is 0":              func(a *group) { a.MaxSize = aws.Int32(0) },
		"counted in vcpu":                    func(a *group) { a.DesiredCapacityType = aws.String("vcpu") },
		"process Launch is suspended": func(a *group) {
			a.SuspendedProcesses = append(a.SuspendedProcesses, types.SuspendedProcess{ProcessName: aws.String("Launch")})
		},
		"process Terminate is suspended": func(a *group) {
			a.SuspendedProcesses = append(a.SuspendedProcesses, types.SuspendedProcess{ProcessName: aws.String("Terminate")})
		},
		"weights (c5.large counts 2)": func(a *group) {
			a.MixedInstancesPolicy = &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{Overrides: []types.LaunchTemplateOverrides{
				{InstanceType: aws.String("c5.large"), WeightedCapacity: aws.String("2")}, {InstanceType: aws.String("c5.xlarge"), WeightedCapacity: aws.String("1")},
			}}}
		},
	} {
		a := good()
		spoil(&a)
		err := impossible(a)
		if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestStates goes through every state that the SDK knows: a new one must be looked at.
func TestStates(t *testing.T) {
	want := map[types.LifecycleState]provider.State{
		"InService": provider.StateRunning, "Pending": provider.StateCreating, "Pending:Wait": provider.StateCreating, "Pending:Proceed": provider.StateCreating,
		"Quarantined": provider.StateCreating, "Terminating": provider.StateDeleting, "Terminating:Wait": provider.StateDeleting, "Terminating:Proceed": provider.StateDeleting,
		"Terminating:Retained": provider.StateDeleting, "Terminated": provider.StateDeleted, "Detaching": provider.StateDeleting, "Detached": provider.StateDeleting,
		"EnteringStandby": provider.StateCreating, "Standby": provider.StateCreating,
		"ReplacingRootVolume": provider.StateCreating, "ReplacingRootVolume:Wait": provider.StateCreating, "ReplacingRootVolume:Proceed": provider.StateCreating, "RootVolumeReplaced": provider.StateCreating,
		"Warmed:Pending": provider.StateCreating, "Warmed:Pending:Wait": provider.StateCreating, "Warmed:Pending:Proceed": provider.StateCreating, "Warmed:Pending:Retained": provider.StateCreating,
		"Warmed:Terminating": provider.StateDeleting, "Warmed:Terminating:Wait": provider.StateDeleting, "Warmed:Terminating:Proceed": provider.StateDeleting, "Warmed:Terminating:Retained": provider.StateDeleting,
		"Warmed:Terminated": provider.StateDeleted, "Warmed:Stopped": provider.StateSuspended, "Warmed:Running": provider.StateCreating, "Warmed:Hibernated": provider.StateSuspended,
	}
	for _, s := range types.LifecycleState("").Values() {
		got := stateOf(member{LifecycleState: s, HealthStatus: aws.String("Healthy")})
		if w, ok := want[s]; !ok || got != w {
			t.Errorf("%s is %s", s, got)
		}
	}
	if got := stateOf(member{LifecycleState: types.LifecycleStateInService, HealthStatus: aws.String("UNHEALTHY")}); got != provider.StateDeleting {
		t.Errorf("an unhealthy member is %s", got)
	}
	if got := stateOf(member{LifecycleState: types.LifecycleStatePending, HealthStatus: aws.String("Unhealthy")}); got != provider.StateCreating {
		t.Errorf("a pending member is %s", got)
	}
	for s, n := range map[types.LifecycleState]int{"InService": 1, "Pending:Wait": 1, "Standby": 0, "EnteringStandby": 0, "Terminating:Wait": 0, "Detaching": 0, "Warmed:Stopped": 0} {
		if got := size(group{Instances: []member{{LifecycleState: s}}}); got != n {
			t.Errorf("%s counts %d", s, got)
		}
	}
}
