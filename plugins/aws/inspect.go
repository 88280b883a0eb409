package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

// The places of the EC2 console that the warnings name.
const (
	placeSize     = "Details, Group details, Edit"
	placeAdvanced = "Details, Advanced configurations, Edit"
	placeScaling  = "Automatic scaling"
	placeRefresh  = "Instance refresh"
	placeTypes    = "Details, Instance type requirements, Edit"
	placeWarm     = "Instance management, Warm pool"
)

// patience is how long the start waits for what only warnings need.
const patience = 5 * time.Second

// impossible returns an error of KindConfig if the group can never be the fleet of a manager.
func impossible(a group) error {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if status := aws.ToString(a.Status); status != "" {
		add("it is being deleted (%s)", status)
	}
	if aws.ToInt32(a.MaxSize) <= 0 {
		add("its maximum capacity is 0: set it to max_instances or more (%s)", placeSize)
	}
	if unit := aws.ToString(a.DesiredCapacityType); unit != "" && unit != "units" {
		add("its desired capacity is counted in %s, and must be counted in instances (%s)", unit, placeTypes)
	}
	if types := weighted(a); len(types) > 0 {
		add("instance types have weights (%s), so that its capacity is no number of instances: remove them (%s)", strings.Join(types, ", "), placeTypes)
	}
	for _, process := range []string{"Launch", "Terminate"} {
		if suspended(a, process) {
			add("its process %s is suspended: resume it (%s, Suspended processes)", process, placeAdvanced)
		}
	}
	if len(why) == 0 {
		return nil
	}
	return provider.Errorf(provider.KindConfig, "the Auto Scaling group %s cannot be used: %s", aws.ToString(a.AutoScalingGroupName), strings.Join(why, "; "))
}

// weighted returns the instance types of a mixed group whose weight is not 1.
func weighted(a group) (list []string) {
	if a.MixedInstancesPolicy == nil || a.MixedInstancesPolicy.LaunchTemplate == nil {
		return nil
	}
	for _, o := range a.MixedInstancesPolicy.LaunchTemplate.Overrides {
		if w := aws.ToString(o.WeightedCapacity); w != "" && w != "1" {
			list = append(list, aws.ToString(o.InstanceType)+" counts "+w)
		}
	}
	return list
}

func suspended(a group, process string) bool {
	return slices.ContainsFunc(a.SuspendedProcesses, func(p types.SuspendedProcess) bool { return aws.ToString(p.ProcessName) == process })
}

// inspect returns what is set in the group that removes machines with jobs, or adds machines that nobody asked for.
func (g *InstanceGroup) inspect(ctx context.Context, a group) []string {
	reads := []struct {
		what string
		read func(context.Context, group) (string, error)
	}{{"scaling policies", g.scalingPolicies}, {"scheduled actions", g.schedules}, {"an instance refresh under way", g.refreshes}}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	texts := make([]string, len(reads))
	var all sync.WaitGroup
	for n, r := range reads {
		all.Go(func() {
			text, err := r.read(ctx, a)
			if err != nil {
				text = fmt.Sprintf("whether the group has %s could not be checked: %s", r.what, firstLine(err))
			}
			texts[n] = text
		})
	}
	all.Wait()
	return slices.DeleteFunc(slices.Concat(sizes(a), replacements(a), texts), func(text string) bool { return text == "" })
}

// sizes returns warnings about the size of the group.
func sizes(a group) (list []string) {
	if n := aws.ToInt32(a.MinSize); n > 0 {
		list = append(list, fmt.Sprintf("the minimum capacity of the group is %d, so AWS replaces instances that this manager removes below it: set it to 0 (%s)", n, placeSize))
	}
	if n, is := int(aws.ToInt32(a.DesiredCapacity)), size(a); n > is {
		list = append(list, fmt.Sprintf("the desired capacity of the group is %d, and %d instances are there: AWS launches the others, which this manager did not ask for", n, is))
	}
	return list
}

// replacements returns warnings about what makes the group remove machines by itself.
func replacements(a group) (list []string) {
	if !aws.ToBool(a.NewInstancesProtectedFromScaleIn) {
		list = append(list, fmt.Sprintf("new instances are not protected from scale-in, so AWS may terminate machines with jobs: enable Instance scale-in protection (%s)", placeAdvanced))
	}
	open := 0
	for _, i := range a.Instances {
		if counts(i) && !aws.ToBool(i.ProtectedFromScaleIn) {
			open++
		}
	}
	if open > 0 && aws.ToBool(a.NewInstancesProtectedFromScaleIn) {
		list = append(list, fmt.Sprintf("%d instances of the group are older than its scale-in protection, so AWS may terminate them with jobs: let them be replaced, or protect them (Instance management, Actions, Set scale-in protection)", open))
	}
	if len(a.AvailabilityZones) > 1 && !suspended(a, "AZRebalance") {
		list = append(list, fmt.Sprintf("the group has %d zones and balances them, which terminates machines with jobs: suspend the process AZRebalance (%s, Suspended processes)", len(a.AvailabilityZones), placeAdvanced))
	}
	if aws.ToBool(a.CapacityRebalance) {
		list = append(list, "Capacity rebalancing is on, so AWS replaces Spot Instances that it may reclaim, although their jobs might finish: switch it off (Details, Capacity rebalancing)")
	}
	if s := aws.ToInt32(a.MaxInstanceLifetime); s > 0 {
		list = append(list, fmt.Sprintf("the maximum instance lifetime is %d s, after which AWS replaces machines with jobs: remove it (%s), and use instance_max_age of the manager", s, placeAdvanced))
	}
	if a.WarmPoolConfiguration != nil {
		list = append(list, fmt.Sprintf("the group has a warm pool, which this manager neither uses nor counts: delete it (%s)", placeWarm))
	}
	return list
}

// scalingPolicies warns about policies that set the desired capacity.
func (g *InstanceGroup) scalingPolicies(ctx context.Context, a group) (string, error) {
	if suspended(a, "AlarmNotification") {
		return "", nil
	}
	out, err := g.api.scaling.DescribePolicies(ctx, &autoscaling.DescribePoliciesInput{AutoScalingGroupName: a.AutoScalingGroupName})
	if err != nil {
		return "", classify(err)
	}
	var on []string
	for _, p := range out.ScalingPolicies {
		if aws.ToBool(p.Enabled) || p.Enabled == nil {
			on = append(on, aws.ToString(p.PolicyName))
		}
	}
	if len(on) == 0 {
		return "", nil
	}
	return fmt.Sprintf("the group has scaling policies (%s), which change its size against this manager: delete or disable them (%s)", strings.Join(on, ", "), placeScaling), nil
}

// schedules warns about scheduled actions, which set the capacity.
func (g *InstanceGroup) schedules(ctx context.Context, a group) (string, error) {
	if suspended(a, "ScheduledActions") {
		return "", nil
	}
	actions, err := pluginkit.Pages(ctx, func(ctx context.Context, token string) ([]types.ScheduledUpdateGroupAction, string, error) {
		in := &autoscaling.DescribeScheduledActionsInput{AutoScalingGroupName: a.AutoScalingGroupName}
		if token != "" {
			in.NextToken = aws.String(token)
		}
		out, err := g.api.scaling.DescribeScheduledActions(ctx, in)
		if err != nil {
			return nil, "", classify(err)
		}
		return out.ScheduledUpdateGroupActions, aws.ToString(out.NextToken), nil
	})
	if err != nil || len(actions) == 0 {
		return "", err
	}
	var list []string
	for _, s := range actions {
		list = append(list, aws.ToString(s.ScheduledActionName))
	}
	return fmt.Sprintf("the group has scheduled actions (%s), which change its size against this manager: delete them (%s)", strings.Join(list, ", "), placeScaling), nil
}

// refreshes warns about an instance refresh that is under way.
func (g *InstanceGroup) refreshes(ctx context.Context, a group) (string, error) {
	out, err := g.api.scaling.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: a.AutoScalingGroupName})
	if err != nil {
		return "", classify(err)
	}
	for _, r := range out.InstanceRefreshes {
		switch r.Status {
		case types.InstanceRefreshStatusPending, types.InstanceRefreshStatusInProgress, types.InstanceRefreshStatusCancelling, types.InstanceRefreshStatusRollbackInProgress, types.InstanceRefreshStatusBaking:
			return fmt.Sprintf("an instance refresh of the group is under way (%s), which terminates machines with jobs: cancel it (%s)", r.Status, placeRefresh), nil
		}
	}
	return "", nil
}
