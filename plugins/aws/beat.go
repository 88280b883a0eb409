package aws

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	statusGood   = 30 * time.Second // for how long a good status is believed: heartbeats share calls. EC2 checks an instance once a minute
	impairedLong = 2 * time.Minute  // an instance that is impaired for longer is given up at once; before, each heartbeat fails
	eventNear    = 15 * time.Minute // an instance is given up so long before AWS stops or reboots it
)

// status is what EC2 says about the health of an instance.
type status struct {
	read time.Time
	err  error // why the instance is not healthy; nil: it is
}

// Heartbeat asks for the status checks of EC2, and for what AWS has scheduled for the instance.
func (g *InstanceGroup) Heartbeat(ctx context.Context, id string) error {
	return g.machines.heartbeat(ctx, id)
}

func (m *machines) heartbeat(ctx context.Context, id string) error {
	if !instanceID.MatchString(id) {
		return unknown(id)
	}
	good, others := m.health(id)
	if good {
		return nil
	}
	m.checked.want(others...)
	s, ok, err := m.checked.get(ctx, id)
	switch {
	case forbidden(err): // a policy of an older plugin lacks it, and must not cost the fleet
		m.forgoStatus(err)
		return nil
	case err != nil:
		return err
	case !ok:
		return m.missing(id)
	}
	return s.err
}

// health reports whether an instance was healthy a moment ago. If not, it returns the members, this one among them, whose status is so old that they will be
// asked about soon: they are asked about with it, in the same call.
func (m *machines) health(id string) (good bool, others []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	i, listed := m.members[id]
	if !listed {
		return false, nil
	}
	if s, ok := m.statuses[id]; now.Before(m.beatNext) || ok && s.err == nil && now.Sub(s.read) < m.good.status && inService(i) {
		return true, nil
	}
	others = append(others, id)
	for other, i := range m.members {
		if s, ok := m.statuses[other]; other != id && inService(i) && (!ok || now.Sub(s.read) > m.good.status/2) {
			others = append(others, other)
		}
	}
	return false, others
}

// forgoStatus stops questions for a while, because they are not allowed.
func (m *machines) forgoStatus(err error) {
	m.mu.Lock()
	m.beatNext = m.now().Add(deniedPause)
	m.mu.Unlock()
	m.warn("heartbeats say nothing, because EC2's status checks cannot be read: add the permission, or set no_status_checks", "error", err)
}

// inService reports whether a member is of use.
func inService(i member) bool {
	return i.LifecycleState == autoscaling.LifecycleStateInService && !strings.EqualFold(aws.ToString(i.HealthStatus), "Unhealthy")
}

// askStatus asks EC2, and keeps what it says about members.
func (m *machines) askStatus(ctx context.Context, ids []string) (map[string]status, error) {
	now := m.now()
	out, err := m.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: ids, IncludeAllInstances: aws.Bool(true)})
	if err != nil {
		return nil, classify(err)
	}
	found := make(map[string]status, len(ids))
	for _, s := range out.InstanceStatuses {
		id := aws.ToString(s.InstanceId)
		found[id] = status{now, healthOf(id, s, now)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range found {
		if _, ok := m.members[id]; ok {
			m.statuses[id] = s
		}
	}
	return found, nil
}

// healthOf returns why an instance is not healthy, or nil.
func healthOf(id string, s types.InstanceStatus, now time.Time) error {
	if s.InstanceState != nil {
		switch state := s.InstanceState.Name; state {
		case types.InstanceStateNamePending, types.InstanceStateNameRunning:
		default:
			return provider.Errorf(provider.KindUnhealthy, "instance %s is %s", id, words(state))
		}
	}
	if err := impaired(id, "system", s.SystemStatus, now); err != nil {
		return err
	}
	if err := impaired(id, "instance", s.InstanceStatus, now); err != nil {
		return err
	}
	for _, e := range s.Events {
		if text := near(e, now); text != "" {
			return provider.Errorf(provider.KindUnhealthy, "AWS has scheduled %s for instance %s", text, id)
		}
	}
	return nil
}

// impaired returns an error if a status check of an instance fails. A check that has not run yet, or has no data, says nothing. One that fails since a moment
// ago counts as a heartbeat that failed, because it may pass again; one that fails for longer condemns the instance.
func impaired(id, which string, s *types.InstanceStatusSummary, now time.Time) error {
	if s == nil || s.Status != types.SummaryStatusImpaired {
		return nil
	}
	kind, since := provider.KindUnhealthy, ""
	for _, d := range s.Details {
		if d.Status == types.StatusTypeFailed && d.ImpairedSince != nil {
			since = " since " + d.ImpairedSince.UTC().Format("15:04 MST")
			if now.Sub(*d.ImpairedSince) < impairedLong {
				kind = provider.KindTransient
			}
		}
	}
	return provider.Errorf(kind, "the %s status check of instance %s fails%s", which, id, since)
}

// near returns a scheduled event in words if it is under way or near, and else "".
func near(e types.InstanceStatusEvent, now time.Time) string {
	about := aws.ToString(e.Description)
	switch {
	case strings.HasPrefix(about, "[Completed]"), strings.HasPrefix(about, "[Canceled]"), e.NotBefore == nil:
		return ""
	case e.NotBefore.Sub(now) > eventNear, e.NotAfter != nil && e.NotAfter.Before(now):
		return ""
	}
	text := fmt.Sprintf("%s at %s", words(e.Code), e.NotBefore.UTC().Format("15:04 MST"))
	if about != "" {
		text += fmt.Sprintf(" (%.200s)", about)
	}
	return text
}
