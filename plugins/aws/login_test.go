package aws

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const pushes = "ec2-instance-connect:SendSSHPublicKey"

// place is a group whose machines are real SSH servers, and one machine of it.
type place struct {
	*InstanceGroup
	cloud *ec2.Server
	id    string
}

// newPlace boots a machine. static: it knows the operator's key from its launch.
func newPlace(t testing.TB, static bool, change ...func(*InstanceGroup)) *place {
	t.Helper()
	park := startMachines(t)
	s := startCloud(t, ec2.Config{
		KeyPairs: map[string]string{"ci": strings.TrimSpace(string(sshPublic(t, edKey())))}, Machines: ec2.OnPark(park),
		Groups: []ec2.GroupConfig{ciGroup(func(c *ec2.GroupConfig) {
			if static {
				c.KeyName = "ci"
			}
		})},
	})
	settings := provider.Settings{ConnectorConfig: provider.ConnectorConfig{ProtocolPort: park.Port()}}
	if static {
		settings.UseStaticCredentials, settings.Username, settings.Key = true, linuxUser, openSSH(t, edKey())
	}
	p := &place{InstanceGroup: newGroup(change...), cloud: s}
	if _, err := p.Init(t.Context(), hclog.NewNullLogger(), settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown(t.Context()) })
	if n, err := p.Increase(t.Context(), 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for end := time.Now().Add(hangs); p.id == ""; time.Sleep(5 * time.Millisecond) {
		err := p.Update(t.Context(), func(id string, s provider.State) {
			if s == provider.StateRunning {
				p.id = id
			}
		})
		if err != nil || time.Now().After(end) {
			t.Fatal("no machine comes", err)
		}
	}
	return p
}

// job logs in with fresh connect info and runs a command.
func (p *place) job(t testing.TB) {
	t.Helper()
	info, err := p.ConnectInfo(t.Context(), p.id)
	if err != nil {
		t.Fatal(err)
	}
	client, err := logIn(info)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if out, err := session.Output("echo it runs"); err != nil || string(out) != "it runs\n" {
		t.Fatalf("%q, %v", out, err)
	}
}

func logIn(info provider.ConnectInfo) (*ssh.Client, error) {
	signer, err := ssh.ParsePrivateKey(info.Key)
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", net.JoinHostPort(info.InternalAddr, strconv.Itoa(info.ProtocolPort)), &ssh.ClientConfig{
		User: info.Username, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: hangs,
	})
}

// rested lets each job find a machine that nobody used for a while: its key is over, and its details are old.
func rested(g *InstanceGroup) { g.good.again, g.good.details = keyLife, time.Nanosecond }

// TestLogIn: jobs in a row share a pushed key.
func TestLogIn(t *testing.T) {
	p := newPlace(t, false)
	for range 5 {
		p.job(t)
	}
	if n := p.cloud.Calls()[pushes]; n != 1 && n != 2 { // the second on a machine that is so busy that the key was over
		t.Errorf("%d pushes", n)
	}
}

// TestLogInToRestedMachine: a job costs one push, at the same time as one description.
func TestLogInToRestedMachine(t *testing.T) {
	p := newPlace(t, false, rested)
	p.job(t)
	before := p.cloud.Calls()
	for range 5 {
		p.job(t)
	}
	for _, action := range []string{pushes, describes} {
		if n := p.cloud.Calls()[action] - before[action]; n != 5 {
			t.Errorf("%d calls of %s for 5 jobs", n, action)
		}
	}
}

func TestLogInWithStaticKey(t *testing.T) {
	p := newPlace(t, true)
	p.job(t)
	if n := p.cloud.Calls()[pushes]; n != 0 {
		t.Errorf("%d pushes", n)
	}
}

// TestNobodyLogsInWithoutPush: the server tells the keys apart.
func TestNobodyLogsInWithoutPush(t *testing.T) {
	p := newPlace(t, false)
	info, err := p.ConnectInfo(t.Context(), p.id)
	if err != nil {
		t.Fatal(err)
	}
	info.Key = openSSH(t, rsaKey())
	if client, err := logIn(info); err == nil {
		client.Close()
		t.Error("another key opens the machine")
	}
}

// BenchmarkLogIn measures the time from the question for connect info to the output of a command.
func BenchmarkLogIn(b *testing.B) {
	for _, c := range []struct {
		name   string
		static bool
		change []func(*InstanceGroup)
	}{{"static", true, nil}, {"pushed", false, nil}, {"rested", false, []func(*InstanceGroup){rested}}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPlace(b, c.static, c.change...)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				p.job(b)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
			b.ReportMetric(took[len(took)*95/100].Seconds()*1e3, "p95-ms")
		})
	}
}
