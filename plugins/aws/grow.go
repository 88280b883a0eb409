package aws

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

const (
	readAgain = 30 * time.Second // between two reads of the activities of a group that cannot launch
	skew      = 2 * time.Second  // by which AWS's times of two events may be in the wrong order
)

// looks says how often the group is listed while a create is watched.
type looks struct{ first, next time.Duration } // first: from the request to the first list; the pause doubles up to next

// request is what the group was asked for.
type request struct {
	granted int             // how many more instances than before
	missing int             // how many the group was to launch already
	had     map[string]bool // ids that were there before
	since   time.Time       // when, by AWS's clock
	before  map[string]bool // ids of launches that had ended by then
}

// Increase raises the desired capacity of the group once. Then it watches the group for up to launch_wait: AWS accepts every capacity up to the maximum, and
// says later, in the activities of the group, that it has no machine or that a quota is reached. If the group cannot launch, the capacity is set back to what
// came, so that no machine appears when nobody waits for it any more.
func (g *InstanceGroup) Increase(ctx context.Context, delta int) (int, error) {
	if err := g.growing.Acquire(ctx, 1); err != nil {
		return 0, noTurn(ctx)
	}
	defer g.growing.Release(1)
	asked, short, err := g.raise(ctx, delta)
	if err != nil {
		return 0, err
	}
	if asked.granted == 0 {
		return 0, short
	}
	came, why := g.await(ctx, asked)
	return came, pluginkit.Together([]error{short, why})
}

// noTurn is the error of a call that asked nothing of AWS.
func noTurn(ctx context.Context) error {
	return provider.Errorf(provider.KindThrottled, "another call was changing the size of the group until the time was over: %w", context.Cause(ctx))
}

// raise sets the desired capacity. short says why fewer than delta were granted.
func (g *InstanceGroup) raise(ctx context.Context, delta int) (asked request, short, err error) {
	if err := g.resizing.Acquire(ctx, everyone); err != nil {
		return request{}, nil, noTurn(ctx)
	}
	defer g.resizing.Release(everyone)
	a, err := g.find(ctx)
	if err != nil {
		return request{}, nil, err
	}
	n := size(a)
	base := max(int(aws.ToInt32(a.DesiredCapacity)), n)
	if base > n { // asked for earlier, and not there yet: if it failed, it is not waited for, but asked for again
		list, _ := g.launches(ctx, time.Time{}) // without an answer it is waited for
		if verdict(list) != nil {
			base = n
		}
		asked.note(list)
	}
	limit := int(aws.ToInt32(a.MaxSize))
	want := min(limit, base+min(delta, limit)) // limit first: delta may be any number
	if want-base < delta {
		short = provider.Errorf(provider.KindQuota, "the Auto Scaling group %s may have at most %d instances: raise its maximum capacity (Details, Group details, Edit)", g.Name, limit)
	}
	if want <= base {
		return request{}, short, nil
	}
	asked.granted, asked.missing, asked.had = want-base, base-n, make(map[string]bool, len(a.Instances))
	for _, i := range a.Instances {
		asked.had[aws.ToString(i.InstanceId)] = true
	}
	asked.since, err = g.setDesired(ctx, want)
	return asked, short, err
}

// setDesired sets the desired capacity, and returns the time of AWS.
func (g *InstanceGroup) setDesired(ctx context.Context, n int) (time.Time, error) {
	out, err := g.api.scaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: aws.String(g.Name), DesiredCapacity: aws.Int32(int32(n)), HonorCooldown: aws.Bool(false),
	})
	if err != nil {
		return time.Time{}, classify(err)
	}
	at, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		at = g.now()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trouble, g.read, g.raised = nil, time.Time{}, g.now()
	return at, nil
}

// await watches the group until all instances of the request are there, the group cannot launch them, or launch_wait is over. It returns how many of the
// request will come as far as is known. The end of ctx is no error: the request was accepted.
func (g *InstanceGroup) await(ctx context.Context, asked request) (int, error) {
	end := g.now().Add(g.LaunchWait.Std())
	doubt, before := false, -1
	for pause := g.looks.first; ; pause = min(2*pause, g.looks.next) {
		if !sleep(ctx, pause) {
			return asked.granted, nil
		}
		a, err := g.recent(ctx, pause)
		switch {
		case err != nil: // Update meets the same error, and says it
		case lacks(a) <= 0:
			return asked.granted, nil
		case pause > g.looks.first:
			list, err := g.launches(ctx, asked.since)
			why := verdict(asked.unknown(list))
			switch {
			case err != nil:
			case why == nil:
				doubt = false
			case doubt && asked.came(a) == before: // twice, and nothing came between: no other zone has machines either
				return g.giveUp(ctx, asked, why)
			default:
				doubt, before = true, asked.came(a)
			}
		}
		if !g.now().Before(end) {
			return asked.granted, nil
		}
	}
}

// lacks returns how many instances the group has to launch.
func lacks(a group) int { return int(aws.ToInt32(a.DesiredCapacity)) - size(a) }

// came returns how many instances are there that were not when the request was made. One that ends already counts: it did come.
func (r *request) came(a group) (n int) {
	for _, i := range a.Instances {
		if !r.had[aws.ToString(i.InstanceId)] {
			n++
		}
	}
	return n
}

// note remembers the launches that have ended.
func (r *request) note(list []types.Activity) {
	r.before = map[string]bool{}
	for n := range list {
		if ended(&list[n]) {
			r.before[aws.ToString(list[n].ActivityId)] = true
		}
	}
}

// unknown returns the launches that had not ended before the request.
func (r *request) unknown(list []types.Activity) []types.Activity {
	return slices.DeleteFunc(list, func(a types.Activity) bool { return r.before[aws.ToString(a.ActivityId)] })
}

// giveUp takes back the part of the request that the group cannot launch, and returns how many of it came.
func (g *InstanceGroup) giveUp(ctx context.Context, asked request, why error) (int, error) {
	a, err := g.takeBack(ctx)
	if err != nil {
		return asked.granted, pluginkit.Together([]error{why, err})
	}
	return max(min(asked.came(a)-asked.missing, asked.granted), 0), why
}

// takeBack sets the desired capacity to the number of instances that are there, and returns the list.
func (g *InstanceGroup) takeBack(ctx context.Context) (group, error) {
	if err := g.resizing.Acquire(ctx, everyone); err != nil {
		return group{}, noTurn(ctx)
	}
	defer g.resizing.Release(everyone)
	a, err := g.find(ctx)
	if err != nil {
		return group{}, err
	}
	n := max(size(a), int(aws.ToInt32(a.MinSize)))
	if int(aws.ToInt32(a.DesiredCapacity)) <= n {
		return a, nil
	}
	_, err = g.setDesired(ctx, n)
	return a, err
}

// recent returns the group as it was listed at most age ago.
func (g *InstanceGroup) recent(ctx context.Context, age time.Duration) (group, error) {
	g.mu.Lock()
	s := g.latest
	g.mu.Unlock()
	if g.now().Sub(s.at) < age/2 {
		return s.group, nil
	}
	return g.find(ctx)
}

// watch looks for the reason if the group has fewer instances than it was asked for, and nobody waits for the answer. It never fails a list.
func (g *InstanceGroup) watch(ctx context.Context, a group) {
	g.mu.Lock()
	now := g.now()
	due := lacks(a) > 0 && now.Sub(g.raised) >= g.LaunchWait.Std() && now.Sub(g.read) >= readAgain
	if lacks(a) <= 0 {
		g.trouble = nil
	}
	if due {
		g.read = now
	}
	g.mu.Unlock()
	if !due {
		return
	}
	list, err := g.launches(ctx, time.Time{})
	why := verdict(list)
	if err != nil {
		g.warnOnce("why the Auto Scaling group has fewer instances than its desired capacity could not be read", "error", err)
		return
	}
	g.mu.Lock()
	g.trouble = why
	g.mu.Unlock()
	if why != nil {
		g.log.Warn("the Auto Scaling group has fewer instances than its desired capacity", "missing", lacks(a), "error", why)
	}
}

// warnOnce logs a sentence the first time.
func (g *InstanceGroup) warnOnce(text string, args ...any) {
	g.mu.Lock()
	again := g.warned[text]
	g.warned[text] = true
	g.mu.Unlock()
	if !again {
		g.log.Warn(text, args...)
	}
}

// sleep waits, and reports whether ctx lives.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
