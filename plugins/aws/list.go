package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

// group is an Auto Scaling group as AWS described it.
type group = types.AutoScalingGroup

// member is an instance of the group.
type member = types.Instance

// sight is one list of the group.
type sight struct {
	at    time.Time
	group group
}

// maxNamed is how many groups an error names.
const maxNamed = 10

// find returns the group, with its instances.
func (g *InstanceGroup) find(ctx context.Context) (group, error) {
	out, err := g.api.scaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{g.Name}})
	if err != nil {
		return group{}, classify(err)
	}
	switch len(out.AutoScalingGroups) {
	case 1:
		s := sight{g.now(), out.AutoScalingGroups[0]}
		g.mu.Lock()
		g.latest = s
		for id, at := range g.ended { // they are few: those of the last seconds, and those whose machines take their time
			if s.at.Sub(at) >= listLag {
				delete(g.ended, id)
			}
		}
		g.mu.Unlock()
		return s.group, nil
	case 0:
		return group{}, g.noGroup(ctx)
	}
	return group{}, provider.Errorf(provider.KindConfig, "plugin_config: name %.80q stands for %d Auto Scaling groups (%s), and must stand for one", g.Name,
		len(out.AutoScalingGroups), names(out.AutoScalingGroups))
}

// noGroup is the error for a name without a group. It names the groups that there are.
func (g *InstanceGroup) noGroup(ctx context.Context) error {
	all, err := pluginkit.Pages(ctx, func(ctx context.Context, token string) ([]group, string, error) {
		in := &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)}
		if token != "" {
			in.NextToken = aws.String(token)
		}
		out, err := g.api.scaling.DescribeAutoScalingGroups(ctx, in)
		if err != nil {
			return nil, "", classify(err)
		}
		return out.AutoScalingGroups, aws.ToString(out.NextToken), nil
	})
	what := "the account has no group there"
	switch {
	case err != nil:
		what = "the groups could not be listed (" + firstLine(err) + ")"
	case len(all) > 0:
		what = "the groups there are " + names(all)
	}
	return provider.Errorf(provider.KindConfig, "plugin_config: name %.80q is not an Auto Scaling group in region %s: %s", g.Name, g.Region, what)
}

func names(groups []group) string {
	var list []string
	for _, a := range groups[:min(len(groups), maxNamed)] {
		list = append(list, aws.ToString(a.AutoScalingGroupName))
	}
	slices.Sort(list)
	if more := len(groups) - maxNamed; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}

// info describes the group to the manager.
func (g *InstanceGroup) info(a group) provider.ProviderInfo {
	info := provider.ProviderInfo{ID: "aws/" + g.Region + "/" + g.Name, MaxSize: int(aws.ToInt32(a.MaxSize))}
	if g.NoStatusChecks {
		info.Capabilities = []provider.Capability{} // no heartbeat
	}
	return info
}

// Update lists the group. An instance that AWS has announced to take away counts as being deleted from then on.
func (g *InstanceGroup) Update(ctx context.Context, update func(id string, state provider.State)) error {
	a, err := g.find(ctx)
	if err != nil {
		return err
	}
	going, err := g.machines.going(ctx, a.Instances)
	if err != nil {
		return err
	}
	for _, i := range a.Instances {
		state := stateOf(i)
		if going[aws.ToString(i.InstanceId)] {
			state = provider.StateDeleting
		}
		update(aws.ToString(i.InstanceId), state)
	}
	g.watch(ctx, a)
	return nil
}

// stateOf returns the state of a member. An instance that the group found unhealthy is one that it is about to replace.
func stateOf(i member) provider.State {
	state := string(i.LifecycleState)
	switch {
	case state == string(types.LifecycleStateTerminated), state == string(types.LifecycleStateWarmedTerminated):
		return provider.StateDeleted
	case ending(i):
		return provider.StateDeleting
	case i.LifecycleState == types.LifecycleStateInService && strings.EqualFold(aws.ToString(i.HealthStatus), "Unhealthy"):
		return provider.StateDeleting
	case i.LifecycleState == types.LifecycleStateInService:
		return provider.StateRunning
	case i.LifecycleState == types.LifecycleStateWarmedStopped, i.LifecycleState == types.LifecycleStateWarmedHibernated:
		return provider.StateSuspended
	}
	return provider.StateCreating // Pending*, Standby, Warmed:Running and what AWS adds: it exists, and cannot be used
}

// ending reports whether an instance is on its way out of the group.
func ending(i member) bool {
	state := strings.TrimPrefix(string(i.LifecycleState), "Warmed:")
	return strings.HasPrefix(state, "Terminat") || i.LifecycleState == types.LifecycleStateDetaching || i.LifecycleState == types.LifecycleStateDetached
}

// terminating reports whether AWS terminates an instance. One that is retained goes no further by itself.
func terminating(i member) bool {
	state := strings.TrimPrefix(string(i.LifecycleState), "Warmed:")
	return strings.HasPrefix(state, "Terminat") && !strings.HasSuffix(state, ":Retained")
}

// counts reports whether an instance counts towards the desired capacity.
func counts(i member) bool {
	switch i.LifecycleState {
	case types.LifecycleStateStandby, types.LifecycleStateEnteringStandby:
		return false
	}
	return !ending(i) && !strings.HasPrefix(string(i.LifecycleState), "Warmed:")
}

// size returns how many instances count towards the desired capacity.
func size(a group) (n int) {
	for _, i := range a.Instances {
		if counts(i) {
			n++
		}
	}
	return n
}
