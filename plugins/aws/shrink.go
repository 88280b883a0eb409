package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

const (
	listLag  = 30 * time.Second // for which a list may not show a termination yet
	atOnce   = 8                // terminations at a time; api_rate bounds their pace
	everyone = 64               // what the change of the desired capacity takes of resizing; a termination takes 1
)

// Decrease terminates exactly these instances, and lowers the desired capacity with each, so that the group replaces none of them. One that ends already is
// left alone: a second termination could lower the capacity a second time.
func (g *InstanceGroup) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return pluginkit.Each(ctx, ids, atOnce, func(ctx context.Context, id string) error {
		if g.ends(id) {
			return nil
		}
		err := pluginkit.Gone(g.terminate(ctx, id))
		if err != nil && provider.KindOf(err) != provider.KindThrottled && g.left(ctx, id) { // by an earlier request, whose answer was lost
			return nil
		}
		if err == nil {
			g.mu.Lock()
			g.ended[id] = g.now()
			g.mu.Unlock()
		}
		return err
	})
}

// left reports whether a new list says that an instance is terminating, or lacks it.
func (g *InstanceGroup) left(ctx context.Context, id string) bool {
	a, err := g.find(ctx)
	return err == nil && !slices.ContainsFunc(a.Instances, func(i member) bool { return aws.ToString(i.InstanceId) == id && !terminating(i) })
}

// ends reports whether an instance is terminating: the latest list says so, or AWS accepted it a moment ago.
func (g *InstanceGroup) ends(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range g.latest.group.Instances {
		if aws.ToString(i.InstanceId) == id && terminating(i) {
			return true
		}
	}
	at, ok := g.ended[id]
	return ok && g.now().Sub(at) < listLag
}

// terminate terminates one instance. While it does, nobody reads the desired capacity in order to set it.
func (g *InstanceGroup) terminate(ctx context.Context, id string) error {
	if err := g.resizing.Acquire(ctx, 1); err != nil {
		return noTurn(ctx)
	}
	err := g.terminateOne(ctx, id, true)
	g.resizing.Release(1)
	if !belowMinimum(err) {
		return classify(err)
	}
	return g.terminateAboveMinimum(ctx, id, classify(err))
}

func (g *InstanceGroup) terminateOne(ctx context.Context, id string, lower bool) error {
	_, err := g.api.scaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: aws.String(id), ShouldDecrementDesiredCapacity: aws.Bool(lower),
	})
	return err
}

// belowMinimum reports whether AWS refused a termination, because the desired capacity is as low as it may be.
func belowMinimum(err error) bool {
	return codeOf(err) == "ValidationError" && strings.Contains(strings.ToLower(err.Error()), "min size")
}

// terminateAboveMinimum terminates an instance of a group whose desired capacity cannot be lowered. If the group has more instances than that, because a
// request was taken back while its machines came, it replaces none of them. Else it would: then the minimum has to be changed.
func (g *InstanceGroup) terminateAboveMinimum(ctx context.Context, id string, refused error) error {
	if err := g.resizing.Acquire(ctx, everyone); err != nil {
		return noTurn(ctx)
	}
	defer g.resizing.Release(everyone)
	a, err := g.find(ctx)
	if err != nil {
		return err
	}
	if size(a) <= int(aws.ToInt32(a.DesiredCapacity)) {
		return provider.Errorf(provider.KindConfig, "instance %s is needed for the minimum capacity of the Auto Scaling group, which is %d: set it to 0 (Details, Group details, Edit) (%w)",
			id, aws.ToInt32(a.MinSize), refused)
	}
	return classify(g.terminateOne(ctx, id, false))
}
