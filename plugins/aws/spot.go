package aws

import (
	"context"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

const (
	spotLimit   = 10 * time.Second // for one read, which must not keep the list from the manager
	spotPause   = 5 * time.Second  // between two reads of the spot requests, however often the group is listed
	deniedPause = 15 * time.Minute // after a call that is not allowed, and that can be forgone
)

// endingCodes are the states of a spot request whose instance is about to be taken away, or was.
var endingCodes = []string{
	"marked-for-termination", "marked-for-stop", "instance-terminated-by-price", "instance-terminated-by-service", "instance-terminated-no-capacity",
	"instance-terminated-capacity-oversubscribed", "instance-terminated-launch-group-constraint", "instance-stopped-by-price", "instance-stopped-no-capacity",
}

// going takes a new list, and returns which of its instances AWS has announced to take away, two minutes before it does. It asks only while the group has Spot
// Instances, with one call. What it cannot read is no failure of the list.
func (m *machines) going(ctx context.Context, list []member) (map[string]bool, error) {
	m.see(list)
	if m.spotDue() {
		m.readSpot(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.marked), nil
}

// spotDue reports whether it is time to read the spot requests. Then it sets the time of the next read.
func (m *machines) spotDue() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if now.Before(m.spotNext) {
		return false
	}
	for _, d := range m.details {
		if d.spot {
			m.spotNext = now.Add(spotPause)
			return true
		}
	}
	return false
}

// readSpot marks the members that will be taken away.
func (m *machines) readSpot(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, spotLimit)
	defer cancel()
	requests, err := pluginkit.Pages(short, func(ctx context.Context, token string) ([]types.SpotInstanceRequest, string, error) {
		in := &ec2.DescribeSpotInstanceRequestsInput{Filters: []types.Filter{{Name: aws.String("status-code"), Values: endingCodes}}, MaxResults: aws.Int32(1000)}
		if token != "" {
			in.NextToken = aws.String(token)
		}
		out, err := m.ec2.DescribeSpotInstanceRequests(ctx, in)
		if err != nil {
			return nil, "", classify(err)
		}
		return out.SpotInstanceRequests, aws.ToString(out.NextToken), nil
	})
	m.mu.Lock()
	if forbidden(err) {
		m.spotNext = m.now().Add(deniedPause)
	}
	for _, r := range requests {
		id := aws.ToString(r.InstanceId)
		if _, ok := m.members[id]; ok {
			m.marked[id] = true
		}
	}
	m.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		m.warn("the spot requests cannot be read, so jobs on Spot Instances that AWS takes away are told late", "error", err)
	}
}
