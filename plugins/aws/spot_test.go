package aws

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestOnDemandGroupAsksNothing(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		for i := range 250 {
			g.run(i)
		}
		for range 60 {
			if going := g.list(t); len(going) != 0 {
				t.Errorf("%v", going)
			}
			time.Sleep(time.Minute)
		}
		if g.count("DescribeSpotInstanceRequests") != 0 || g.count("DescribeInstances") != 3 {
			t.Errorf("%v", g.calls)
		}
	})
}

func TestSpotInstancesThatGo(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		for i := range 3 {
			g.run(i).InstanceLifecycle = types.InstanceLifecycleTypeSpot
		}
		g.sees(t)
		request := func(n int) types.SpotInstanceRequest {
			return types.SpotInstanceRequest{InstanceId: aws.String(ident(n)), Status: &types.SpotInstanceStatus{Code: aws.String("marked-for-termination")}}
		}
		if going := g.list(t); len(going) != 0 {
			t.Errorf("%v", going)
		}
		g.change(func() { g.spot = []types.SpotInstanceRequest{request(1), request(77), {}} })
		time.Sleep(spotPause)
		if going := g.list(t); len(going) != 1 || !going[ident(1)] {
			t.Errorf("%v", going)
		}
		g.change(func() { g.spot = nil })
		time.Sleep(time.Minute)
		if going := g.list(t); !going[ident(1)] {
			t.Error("an instance that goes is forgotten while it is listed")
		}
		g.change(func() { delete(g.instances, ident(1)) })
		time.Sleep(time.Minute)
		if going := g.list(t); len(going) != 0 {
			t.Errorf("%v", going)
		}
		before := g.count("DescribeSpotInstanceRequests")
		for range 20 {
			g.list(t)
			time.Sleep(time.Second)
		}
		if n := g.count("DescribeSpotInstanceRequests") - before; n > 5 {
			t.Errorf("%d questions in 20 s", n)
		}
	})
}

// TestSpotRequestsHang: the list goes on without them.
func TestSpotRequestsHang(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.slow = map[string]time.Duration{"DescribeSpotInstanceRequests": time.Hour}
		g.run(1).InstanceLifecycle = types.InstanceLifecycleTypeSpot
		g.sees(t)
		began := time.Now()
		if going := g.list(t); len(going) != 0 || len(g.warnings) != 1 || time.Since(began) != spotLimit {
			t.Errorf("%v after %s, warnings %q", going, time.Since(began), g.warnings)
		}
	})
}

func TestSpotRequestsCannotBeRead(t *testing.T) {
	for code, perHour := range map[string]int{"UnauthorizedOperation": 4, "RequestLimitExceeded": 60} {
		t.Run(code, func(t *testing.T) {
			onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
				g.run(1).InstanceLifecycle = types.InstanceLifecycleTypeSpot
				g.sees(t)
				g.change(func() { g.fail["DescribeSpotInstanceRequests"] = apiError(code, "no") })
				for range 60 {
					g.list(t)
					time.Sleep(time.Minute)
				}
				if n := g.count("DescribeSpotInstanceRequests"); n != perHour || len(g.warnings) != 1 {
					t.Errorf("%d questions, warnings %v", n, slices.Clone(g.warnings))
				}
			})
		})
	}
}

// TestEveryNotice: the states of a spot request that AWS documents for an instance that is about to go, and some in which it stays.
func TestEveryNotice(t *testing.T) {
	for code, goes := range map[string]bool{
		"marked-for-termination": true, "marked-for-stop": true, "instance-terminated-no-capacity": true, "instance-stopped-by-price": true,
		"fulfilled": false, "request-canceled-and-instance-running": false,
	} {
		onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
			g.run(1).InstanceLifecycle = types.InstanceLifecycleTypeSpot
			g.sees(t)
			g.change(func() {
				g.spot = []types.SpotInstanceRequest{{InstanceId: aws.String(ident(1)), Status: &types.SpotInstanceStatus{Code: aws.String(code)}}}
			})
			time.Sleep(spotPause)
			if going := g.list(t); going[ident(1)] != goes {
				t.Errorf("%s: %v", code, going)
			}
		})
	}
}
