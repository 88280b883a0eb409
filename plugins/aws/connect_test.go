package aws

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestConnectInfo(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.sees(t)
		info, err := g.connectInfo(t.Context(), ident(1))
		if err != nil {
			t.Fatal(err)
		}
		if info.ID != ident(1) || info.InternalAddr != "10.0.0.1" || info.ExternalAddr != "203.0.113.1" || info.OS != "linux" || info.Arch != "amd64" || info.Username != "ec2-user" {
			t.Errorf("%v", info)
		}
		signer, err := ssh.ParsePrivateKey(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		in := g.sent[0]
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*in.SSHPublicKey))
		if err != nil || !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) || public.Type() != ssh.KeyAlgoED25519 || *in.InstanceOSUser != "ec2-user" || *in.InstanceId != ident(1) {
			t.Errorf("pushed %+v, %v", in, err)
		}
		again, err := g.connectInfo(t.Context(), ident(1))
		if err != nil || !bytes.Equal(again.Key, info.Key) {
			t.Errorf("the second connection has another key, %v", err)
		}
	})
}

// TestKeyIsPushedWhenNeeded: the manager asks again ahead of the end only for what is good for 30 s and more, so a fleet at rest costs no push.
func TestKeyIsPushedWhenNeeded(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.sees(t)
		start := time.Now()
		for _, c := range []struct {
			at, good time.Duration // when it is asked for, and for how long it says that the key is good
			pushes   int
		}{
			{0, 29 * time.Second, 1}, {20 * time.Second, 29 * time.Second, 1}, {31 * time.Second, 26 * time.Second, 1}, {33 * time.Second, 29 * time.Second, 2},
			{5 * time.Minute, 29 * time.Second, 3},
		} {
			time.Sleep(time.Until(start.Add(c.at)))
			info, err := g.connectInfo(t.Context(), ident(1))
			if err != nil || info.Expires == nil {
				t.Fatal(info, err)
			}
			if good := time.Until(*info.Expires).Round(time.Second); good != c.good || g.count("SendSSHPublicKey") != c.pushes {
				t.Errorf("at %s: good for %s after %d pushes, want %+v", c.at, good, g.count("SendSSHPublicKey"), c)
			}
		}
		if n := g.count("DescribeInstances"); n > 5 {
			t.Errorf("%d describes", n)
		}
	})
}

func TestKeyIsPushedAhead(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.ahead = true
		g.run(1)
		g.sees(t)
		info, err := g.connectInfo(t.Context(), ident(1))
		if err != nil {
			t.Fatal(err)
		}
		if good := time.Until(*info.Expires).Round(time.Second); good != keyLife {
			t.Errorf("it is good for %s", good)
		}
	})
}

func TestPushAndDetailsAtOnce(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.sees(t)
		time.Sleep(time.Hour)
		began := time.Now()
		if _, err := g.connectInfo(t.Context(), ident(1)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Millisecond+gather { // each call takes 10 ms
			t.Errorf("it took %s", took)
		}
		var wg sync.WaitGroup
		time.Sleep(time.Hour)
		for range 8 { // several jobs on one machine
			wg.Go(func() {
				if _, err := g.connectInfo(t.Context(), ident(1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if g.count("SendSSHPublicKey") != 2 || g.count("DescribeInstances") != 3 {
			t.Errorf("calls: %v", g.calls)
		}
	})
}

func TestOperatorWins(t *testing.T) {
	rsaPEM := pkcs1(rsaKey())
	for name, c := range map[string]struct {
		set    provider.ConnectorConfig
		pushes int
		check  func(provider.ConnectInfo) bool
	}{
		"static": {provider.ConnectorConfig{UseStaticCredentials: true, Username: "ci", Key: openSSH(t, ecKey())}, 0, func(i provider.ConnectInfo) bool {
			return i.Username == "ci" && i.Expires == nil && len(i.Key) > 0
		}},
		"static, without a user": {provider.ConnectorConfig{UseStaticCredentials: true, Key: openSSH(t, ecKey())}, 0, func(i provider.ConnectInfo) bool {
			return i.Username == "ec2-user" && i.Expires == nil && len(i.Key) > 0
		}},
		"password":    {provider.ConnectorConfig{Password: "hush"}, 0, func(i provider.ConnectInfo) bool { return i.Password == "hush" && i.Key == nil && i.Expires == nil }},
		"RSA key":     {provider.ConnectorConfig{Key: rsaPEM}, 1, func(i provider.ConnectInfo) bool { return bytes.Equal(i.Key, rsaPEM) && i.Expires != nil }},
		"ed25519 key": {provider.ConnectorConfig{Key: openSSH(t, edKey()), Username: "ubuntu"}, 1, func(i provider.ConnectInfo) bool { return i.Username == "ubuntu" }},
		"arch": {provider.ConnectorConfig{Arch: "arm64", ProtocolPort: 2222}, 1, func(i provider.ConnectInfo) bool {
			return i.Arch == "arm64" && i.ProtocolPort == 2222 && len(i.Key) > 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onGround(t, provider.Settings{ConnectorConfig: c.set}, func(t *testing.T, g *ground) {
				g.run(1)
				g.sees(t)
				info, err := g.connectInfo(t.Context(), ident(1))
				if err != nil || !c.check(info) || g.count("SendSSHPublicKey") != c.pushes {
					t.Errorf("%v, %v, calls %v", info, err, g.calls)
				}
				if c.pushes == 0 {
					return
				}
				if in := g.sent[0]; c.set.Username != "" && *in.InstanceOSUser != c.set.Username || c.set.Key != nil && strings.HasPrefix(*in.SSHPublicKey, "ssh-rsa ") != (name == "RSA key") {
					t.Errorf("pushed %s for %s", *in.SSHPublicKey, *in.InstanceOSUser)
				}
			})
		})
	}
}

func TestStatesOfConnectInfo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*types.Instance)
		want   provider.FailureKind
	}{
		"pending":       {func(i *types.Instance) { i.State.Name = types.InstanceStateNamePending }, provider.KindTransient},
		"shutting down": {func(i *types.Instance) { i.State.Name = types.InstanceStateNameShuttingDown }, provider.KindNotFound},
		"terminated":    {func(i *types.Instance) { i.State.Name = types.InstanceStateNameTerminated }, provider.KindNotFound},
		"stopping":      {func(i *types.Instance) { i.State.Name = types.InstanceStateNameStopping }, provider.KindUnhealthy},
		"stopped":       {func(i *types.Instance) { i.State.Name = types.InstanceStateNameStopped }, provider.KindUnhealthy},
		"no state":      {func(i *types.Instance) { i.State = nil }, provider.KindTransient},
		"no address":    {func(i *types.Instance) { i.PrivateIpAddress, i.PublicIpAddress, i.Ipv6Address = nil, nil, nil }, provider.KindTransient},
	} {
		t.Run(name, func(t *testing.T) {
			onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
				c.change(g.run(1))
				g.sees(t)
				info, err := g.connectInfo(t.Context(), ident(1))
				if provider.KindOf(err) != c.want || info.ID != "" {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestUnknownInstances(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.sees(t)
		g.run(2)
		g.change(func() { g.instances[ident(2)].Tags = nil }) // of somebody else
		g.run(3)                                              // of the group, and not in the latest list
		before := g.count("DescribeInstances")
		for _, id := range []string{"", "m-0001", "i-", "i-00000000 ", "../i-00000000", "i-ABCDEF00"} {
			if _, err := g.connectInfo(t.Context(), id); provider.KindOf(err) != provider.KindNotFound {
				t.Errorf("%q: %v", id, err)
			}
		}
		if n := g.count("DescribeInstances") - before; n != 0 {
			t.Errorf("%d calls for ids that cannot be", n)
		}
		for n, want := range map[int]provider.FailureKind{2: provider.KindNotFound, 9: provider.KindNotFound} {
			if _, err := g.connectInfo(t.Context(), ident(n)); provider.KindOf(err) != want {
				t.Errorf("%d: %v", n, err)
			}
		}
		if _, err := g.connectInfo(t.Context(), ident(3)); err != nil {
			t.Error(err)
		}
		for _, in := range g.sent {
			if *in.InstanceId != ident(3) {
				t.Errorf("a key was pushed to %s", *in.InstanceId)
			}
		}
		g.change(func() { delete(g.instances, ident(1)) }) // EC2 is behind the group
		time.Sleep(time.Minute)
		if _, err := g.connectInfo(t.Context(), ident(1)); provider.KindOf(err) != provider.KindTransient {
			t.Errorf("listed, and unknown to EC2: %v", err)
		}
	})
}

func TestIPv6AndNewAddress(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.ipv6 = true
		i := g.run(1)
		g.sees(t)
		if info, err := g.connectInfo(t.Context(), ident(1)); err != nil || info.ExternalAddr != "2001:db8::1" || info.InternalAddr != "10.0.0.1" {
			t.Errorf("%v, %v", info, err)
		}
		g.change(func() {
			i.Ipv6Address, i.NetworkInterfaces = nil, []types.InstanceNetworkInterface{{}, {Ipv6Addresses: []types.InstanceIpv6Address{{Ipv6Address: aws.String("2001:db8::2")}}}}
		})
		time.Sleep(detailsGood + time.Second)
		if info, err := g.connectInfo(t.Context(), ident(1)); err != nil || info.ExternalAddr != "2001:db8::2" {
			t.Errorf("%v, %v", info, err)
		}
		g.ipv6 = false
		g.change(func() { i.PrivateIpAddress, i.PublicIpAddress = nil, nil }) // a subnet with IPv6 alone
		time.Sleep(detailsGood + time.Second)
		if info, err := g.connectInfo(t.Context(), ident(1)); err != nil || info.InternalAddr != "2001:db8::2" || info.ExternalAddr != "" {
			t.Errorf("%v, %v", info, err)
		}
	})
}

func TestRefusedPush(t *testing.T) {
	for code, want := range map[string]provider.FailureKind{
		"ThrottlingException": provider.KindThrottled, "AuthException": provider.KindConfig, "EC2InstanceStateInvalidException": provider.KindTransient,
		"EC2InstanceUnavailableException": provider.KindTransient, "EC2InstanceNotFoundException": provider.KindTransient, // listed: EC2 Instance Connect is behind
	} {
		t.Run(code, func(t *testing.T) {
			onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
				g.run(1)
				g.sees(t)
				g.change(func() { g.fail["SendSSHPublicKey"] = apiError(code, "no") })
				info, err := g.connectInfo(t.Context(), ident(1))
				if provider.KindOf(err) != want || info.Key != nil {
					t.Errorf("%v", err)
				}
				g.change(func() { delete(g.fail, "SendSSHPublicKey") })
				if _, err := g.connectInfo(t.Context(), ident(1)); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}
