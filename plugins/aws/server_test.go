package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	describes = "ec2:DescribeInstances"
	spots     = "ec2:DescribeSpotInstanceRequests"
)

// one returns the id of the only instance, which runs.
func (r *rig) one() string {
	r.t.Helper()
	if n, err := r.Increase(r.t.Context(), 1); n != 1 || err != nil {
		r.t.Fatal(n, err)
	}
	return r.running(1)[0]
}

// TestWindowsMachine: the server encrypts the password with the key pair of the launch template, as AWS does, and has it some time after the boot.
func TestWindowsMachine(t *testing.T) {
	s := startCloud(t, ec2.Config{KeyPairs: map[string]string{"ci": string(sshPublic(t, rsaKey()))}, Groups: []ec2.GroupConfig{ciGroup(func(c *ec2.GroupConfig) {
		c.Image, c.KeyName, c.PasswordAfter = ec2.ImageWindows, "ci", 50*time.Millisecond
	})}})
	r := &rig{newGroup(func(g *InstanceGroup) { g.good.password = time.Millisecond }), t, s, nil}
	if _, err := r.Init(t.Context(), hclog.NewNullLogger(), withKey(pkcs1(rsaKey()))); err != nil {
		t.Fatal(err)
	}
	id := r.one()
	var info provider.ConnectInfo
	r.until("password", func() (done bool) {
		var err error
		if info, err = r.ConnectInfo(t.Context(), id); err != nil && provider.KindOf(err) != provider.KindTransient {
			t.Fatal(err)
		}
		return err == nil
	})
	truth, err := s.State("ci")
	if err != nil || info.Password != truth.Instances[0].Password || info.Password == "" || info.Username != "Administrator" || info.OS != "windows" || info.Arch != "amd64" {
		t.Errorf("%v, %v", info, err)
	}
	r.want("pushes", s.Calls()["ec2-instance-connect:SendSSHPublicKey"], 0)
}

// TestWindowsWithoutKey: the image of the launch template tells it at the start.
func TestWindowsWithoutKey(t *testing.T) {
	startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{ciGroup(func(c *ec2.GroupConfig) { c.Image = ec2.ImageWindows })}})
	if err := initError(t, newGroup()); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "the machines run Windows, and nothing can decrypt their passwords: set connector_config.key_path") {
		t.Errorf("%v", err)
	}
}

// TestInterruption: an instance that AWS has announced to take away is reported as going before it goes. Only groups with Spot Instances ask for that.
func TestInterruption(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Spot = true }))
	id := r.one()
	r.until("question for spot requests", func() bool { r.list(); return r.cloud.Calls()[spots] > 0 })
	if err := r.cloud.Interrupt(id); err != nil {
		t.Fatal(err)
	}
	r.until("notice", func() bool { return r.list()[id] == provider.StateDeleting })
	for _, i := range r.cloud.Instances() {
		if i.ID == id && i.State != "running" {
			t.Errorf("it is %s already", i.State)
		}
	}
}

func TestGroupOnDemandAsksForNoSpot(t *testing.T) {
	r := open(t, ciGroup())
	r.one()
	for range 20 {
		r.list()
	}
	r.want("questions for spot requests", r.cloud.Calls()[spots], 0)
	r.until("description", func() bool { return r.cloud.Calls()[describes] > 1 })
	r.want("descriptions, that of Init included", r.cloud.Calls()[describes], 2)
}

// TestHeartbeatOfSickMachines: as EC2 reports them.
func TestHeartbeatOfSickMachines(t *testing.T) {
	r := open(t, ciGroup(), func(g *InstanceGroup) { g.good.status = time.Nanosecond })
	id := r.one()
	if err := r.Heartbeat(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := r.cloud.Impair(id, true); err != nil {
		t.Fatal(err)
	}
	err := r.Heartbeat(t.Context(), id)
	if kind := provider.KindOf(err); kind != provider.KindUnhealthy && kind != provider.KindTransient && kind != provider.KindNotFound { // the group may have replaced it already
		t.Errorf("impaired: %v", err)
	}
	id = r.running(1)[0]
	if err := r.cloud.TerminateInstance(id); err != nil {
		t.Fatal(err)
	}
	if kind := provider.KindOf(r.Heartbeat(t.Context(), id)); kind != provider.KindUnhealthy && kind != provider.KindNotFound {
		t.Errorf("terminated: %v", kind)
	}
}

// TestAddresses: each address of an instance has its place.
func TestAddresses(t *testing.T) {
	addresses := func(c *ec2.GroupConfig) { c.PublicIP, c.IPv6, c.Image = true, true, ec2.ImageARM }
	for _, ipv6 := range []bool{false, true} {
		r := open(t, ciGroup(addresses), func(g *InstanceGroup) { g.UseIPv6 = ipv6 })
		info, err := r.ConnectInfo(t.Context(), r.one())
		if err != nil || info.InternalAddr == "" || info.ExternalAddr == "" || strings.Contains(info.ExternalAddr, ":") != ipv6 || info.Arch != "arm64" || info.OS != "linux" {
			t.Errorf("use_ipv6 %v: %v, %v", ipv6, info, err)
		}
	}
}
