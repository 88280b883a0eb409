package aws

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func summary(status types.SummaryStatus, since *time.Time) *types.InstanceStatusSummary {
	detail := types.InstanceStatusDetails{Name: types.StatusNameReachability, Status: types.StatusTypeFailed, ImpairedSince: since}
	return &types.InstanceStatusSummary{Status: status, Details: []types.InstanceStatusDetails{detail}}
}

func ago(now time.Time, d time.Duration) *time.Time { return aws.Time(now.Add(-d)) }

func TestHealth(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	ok := summary(types.SummaryStatusOk, nil)
	event := func(before, after time.Duration, about string) types.InstanceStatus {
		return types.InstanceStatus{Events: []types.InstanceStatusEvent{{Code: types.EventCodeInstanceRetirement, NotBefore: ago(now, -before), NotAfter: ago(now, -after), Description: aws.String(about)}}}
	}
	state := func(name types.InstanceStateName) types.InstanceStatus {
		return types.InstanceStatus{InstanceState: &types.InstanceState{Name: name}}
	}
	for name, c := range map[string]struct {
		status types.InstanceStatus
		want   provider.FailureKind
		text   string
	}{
		"ok":                    {types.InstanceStatus{SystemStatus: ok, InstanceStatus: ok}, 0, ""},
		"nothing is known":      {types.InstanceStatus{}, 0, ""},
		"it boots":              {types.InstanceStatus{InstanceStatus: summary(types.SummaryStatusInitializing, nil)}, 0, ""},
		"no data":               {types.InstanceStatus{SystemStatus: summary(types.SummaryStatusInsufficientData, nil)}, 0, ""},
		"impaired":              {types.InstanceStatus{InstanceStatus: summary(types.SummaryStatusImpaired, nil)}, provider.KindUnhealthy, "the instance status check of instance i-1 fails"},
		"impaired for long":     {types.InstanceStatus{SystemStatus: summary(types.SummaryStatusImpaired, ago(now, 5*time.Minute))}, provider.KindUnhealthy, "the system status check of instance i-1 fails since 11:55 UTC"},
		"impaired for a moment": {types.InstanceStatus{SystemStatus: summary(types.SummaryStatusImpaired, ago(now, time.Minute))}, provider.KindTransient, "fails since 11:59 UTC"},
		"pending":               {state(types.InstanceStateNamePending), 0, ""},
		"running":               {state(types.InstanceStateNameRunning), 0, ""},
		"shutting down":         {state(types.InstanceStateNameShuttingDown), provider.KindUnhealthy, "instance i-1 is shutting down"},
		"terminated":            {state(types.InstanceStateNameTerminated), provider.KindUnhealthy, "is terminated"},
		"stopping":              {state(types.InstanceStateNameStopping), provider.KindUnhealthy, "is stopping"},
		"stopped":               {state(types.InstanceStateNameStopped), provider.KindUnhealthy, "is stopped"},
		"far event":             {event(time.Hour, 2*time.Hour, "retires"), 0, ""},
		"near event":            {event(10*time.Minute, 2*time.Hour, "The hardware degrades"), provider.KindUnhealthy, "AWS has scheduled instance retirement at 12:10 UTC (The hardware degrades) for instance i-1"},
		"event under way":       {event(-time.Minute, time.Hour, ""), provider.KindUnhealthy, "AWS has scheduled instance retirement at 11:59 UTC for instance i-1"},
		"event that is over":    {event(-time.Hour, -time.Minute, ""), 0, ""},
		"completed event":       {event(time.Minute, time.Hour, "[Completed] The hardware degrades"), 0, ""},
		"cancelled event":       {event(time.Minute, time.Hour, "[Canceled] The hardware degrades"), 0, ""},
	} {
		err := healthOf("i-1", c.status, now)
		if provider.KindOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHeartbeatsShareCalls: each instance has a heartbeat of its own once a minute, at its own second.
func TestHeartbeatsShareCalls(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		const n = 250
		for i := range n {
			g.run(i)
		}
		g.sees(t)
		const minutes = 10
		for range minutes {
			for i := range n {
				time.Sleep(time.Minute / n)
				if err := g.heartbeat(t.Context(), ident(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if calls := g.count("DescribeInstanceStatus"); calls > 3*3*minutes {
			t.Errorf("%d calls in %d minutes for %d instances", calls, minutes, n)
		}
		var wg sync.WaitGroup
		time.Sleep(time.Hour)
		before := g.count("DescribeInstanceStatus")
		for i := range 16 { // as many as the manager has at once
			wg.Go(func() {
				if err := g.heartbeat(t.Context(), ident(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second) // the others are asked about in the background
		if calls := g.count("DescribeInstanceStatus") - before; calls != 3 {
			t.Errorf("%d calls for %d instances", calls, n)
		}
		if n := g.count("DescribeInstances"); n != 3 {
			t.Errorf("%d describes", n)
		}
	})
}

func TestHeartbeatTellsTheTruth(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.run(2)
		g.sees(t)
		beat := func(n int, want provider.FailureKind) {
			t.Helper()
			if err := g.heartbeat(t.Context(), ident(n)); provider.KindOf(err) != want {
				t.Errorf("%d: %v", n, err)
			}
		}
		beat(1, 0)
		g.change(func() {
			g.checks[ident(1)] = types.InstanceStatus{SystemStatus: summary(types.SummaryStatusImpaired, nil)}
		})
		time.Sleep(statusGood)
		beat(1, provider.KindUnhealthy)
		beat(2, 0)
		g.change(func() { g.checks[ident(1)] = types.InstanceStatus{} })
		beat(1, 0) // a bad status is not believed later
		g.change(func() { g.instances[ident(1)].State = &types.InstanceState{Name: types.InstanceStateNameTerminated} })
		gone := g.members()[:0]
		for _, i := range g.members() {
			if *i.InstanceId != ident(1) {
				gone = append(gone, i)
			}
		}
		if _, err := g.going(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		beat(1, provider.KindUnhealthy) // at once: the list lacks it
		beat(2, 0)
		beat(9, provider.KindNotFound)
		if err := g.heartbeat(t.Context(), "m-1"); provider.KindOf(err) != provider.KindNotFound {
			t.Errorf("%v", err)
		}
		g.change(func() {
			delete(g.instances, ident(2))
			g.fail["DescribeInstanceStatus"] = nil
		})
		time.Sleep(statusGood)
		beat(2, provider.KindTransient) // listed, and unknown to EC2
		g.change(func() { g.fail["DescribeInstanceStatus"] = apiError("RequestLimitExceeded", "Request limit exceeded.") })
		beat(2, provider.KindThrottled)
	})
}

// TestStatusMayNotBeRead: a policy of the older plugin has no permission for it, and the fleet goes on.
func TestStatusMayNotBeRead(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.sees(t)
		g.change(func() {
			g.fail["DescribeInstanceStatus"] = apiError("UnauthorizedOperation", "You are not authorized to perform this operation.")
		})
		for range 60 {
			if err := g.heartbeat(t.Context(), ident(1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := g.count("DescribeInstanceStatus"); n != 4 || len(g.warnings) != 1 {
			t.Errorf("%d questions in an hour, warnings %q", n, g.warnings)
		}
		g.change(func() { g.fail["DescribeInstanceStatus"] = apiError("ExpiredToken", "The token has expired.") })
		time.Sleep(time.Hour)
		if err := g.heartbeat(t.Context(), ident(1)); provider.KindOf(err) != provider.KindConfig {
			t.Errorf("%v", err)
		}
	})
}

func TestNoHeartbeatIsAnnounced(t *testing.T) {
	g := &InstanceGroup{Name: "ci", Region: "eu-west-1", NoStatusChecks: true}
	if info := g.info(group{}); len(info.CapabilitiesOf(g)) != 0 {
		t.Errorf("%v", info.CapabilitiesOf(g))
	}
	g.NoStatusChecks = false
	if info := g.info(group{}); len(info.CapabilitiesOf(g)) != 1 {
		t.Errorf("%v", info.CapabilitiesOf(g))
	}
}
