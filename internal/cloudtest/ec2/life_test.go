package ec2

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// slow is a model in which a boot takes 30 s and a termination 20 s.
func slow() cloudmodel.Config {
	return cloudmodel.Config{Boot: cloudmodel.Constant(30 * time.Second), Delete: cloudmodel.Constant(20 * time.Second)}
}

func oneGroup(g GroupConfig, now *clock) Config {
	if g.Name == "" {
		g.Name = "ci"
	}
	return Config{Groups: []GroupConfig{g}, Now: now.now}
}

// states are the lifecycle states of a group's instances.
func states(g groupXML) string {
	var all []string
	for _, in := range g.Instances.List {
		all = append(all, in.Lifecycle)
	}
	return strings.Join(all, " ")
}

func (c *client) wantStates(name, want string) groupXML {
	c.t.Helper()
	g := c.group(name)
	if got := states(g); got != want {
		c.t.Fatalf("want the states %q, got %q", want, got)
	}
	return g
}

func (c *client) setDesired(name, n string) {
	c.t.Helper()
	c.must(nil, serviceAutoScaling, "SetDesiredCapacity", "AutoScalingGroupName", name, "DesiredCapacity", n)
}

func (c *client) describe(ids ...string) []instanceXML {
	c.t.Helper()
	var params []string
	for i, id := range ids {
		params = append(params, "InstanceId."+string(rune('1'+i)), id)
	}
	var out describeInstancesOutput
	c.must(&out, serviceEC2, "DescribeInstances", params...)
	var list []instanceXML
	for _, r := range out.Reservations.List {
		list = append(list, r.Instances.List...)
	}
	return list
}

func TestLifeOfAnInstance(t *testing.T) {
	now := newClock()
	_, c := started(t, oneGroup(GroupConfig{Max: 5, ProtectNew: true, Model: slow()}, now))
	c.setDesired("ci", "2")
	c.wantStates("ci", "Pending Pending")
	now.forward(31 * time.Second)
	g := c.wantStates("ci", "InService InService")
	id := g.Instances.List[0].ID
	if in := c.describe(id)[0]; in.State.Name != "running" || !strings.HasPrefix(in.Private, "127.80.") {
		t.Fatalf("the instance is %+v", in)
	}
	c.must(nil, serviceAutoScaling, "TerminateInstanceInAutoScalingGroup", "InstanceId", id, "ShouldDecrementDesiredCapacity", "true")
	if g := c.wantStates("ci", "Terminating InService"); g.Desired != 1 {
		t.Fatalf("the desired capacity is %d", g.Desired)
	}
	now.forward(21 * time.Second)
	c.wantStates("ci", "InService")
	if in := c.describe(id)[0]; in.State.Name != "terminated" || in.Private != "" {
		t.Fatalf("the instance is %+v", in)
	}
	c.refusedWith(http.StatusBadRequest, "ValidationError", serviceAutoScaling, "TerminateInstanceInAutoScalingGroup", "InstanceId", id,
		"ShouldDecrementDesiredCapacity", "true")
	now.forward(2 * time.Hour)
	c.refusedWith(http.StatusBadRequest, "InvalidInstanceID.NotFound", serviceEC2, "DescribeInstances", "InstanceId.1", id)
}

func TestConnectKey(t *testing.T) {
	now := newClock()
	_, c := started(t, oneGroup(GroupConfig{Max: 5, Desired: 1}, now))
	id := c.group("ci").Instances.List[0].ID
	status, body, err := c.post("SendSSHPublicKey", map[string]string{"InstanceId": id, "InstanceOSUser": "ec2-user", "SSHPublicKey": "nonsense"})
	if err != nil || status != http.StatusBadRequest || !strings.Contains(string(body), "InvalidArgsException") {
		t.Fatalf("status %d, error %v: %s", status, err, body)
	}
}
