package awslogin

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

const (
	machines = 40               // each has one job, then all of them rest
	rest     = 35 * time.Second // after which the manager asks for another key, and the plugin has to push it
	hang     = 3 * time.Minute
)

// contestant is a fleet whose machines rest between two jobs.
type contestant struct {
	name          string
	static, ahead bool // a key that is known from the launch; push_ahead

	manager *taskscaler.Taskscaler
	cloud   *ec2.Server
	leases  []*taskscaler.Lease // held until every machine had a job
	before  map[string]int      // calls
	took    []time.Duration
}

// BenchmarkAcquireToCommand lets fleets run the same jobs in turn, so that other load of this computer meets all of them. "rested" machines were not used since their
// key was over, so each job has one pushed. With "ahead", the key is renewed while nobody needs it.
func BenchmarkAcquireToCommand(b *testing.B) {
	if flag.Lookup("test.benchtime").Value.String() == "1x" {
		b.Skip("its fleets rest for minutes: use -benchtime 200x")
	}
	bin := b.TempDir()
	if _, err := stage.Build(b.Context(), bin, "github.com/taskscaler/taskscaler/plugins/aws/cmd/fleeting-plugin-aws"); err != nil {
		b.Fatal(err)
	}
	for _, latency := range []time.Duration{0} {
		b.Run(latency.String(), func(b *testing.B) {
			all := []*contestant{{name: "static", static: true}, {name: "rested"}, {name: "ahead", ahead: true}}
			for _, c := range all {
				c.start(b, filepath.Join(bin, "fleeting-plugin-aws"), latency)
			}
			for i := 0; b.Loop(); i++ {
				if i%machines == 0 {
					time.Sleep(rest)
				}
				for _, c := range all {
					c.job(b)
				}
			}
			for _, c := range all {
				c.report(b)
			}
		})
	}
}

func (c *contestant) start(b *testing.B, bin string, latency time.Duration) {
	b.Helper()
	cloud, key, port := startCloud(b, c.static, latency)
	config := map[string]any{"name": "ci", "api_rate": -1, "push_ahead": c.ahead}
	c.cloud, c.manager = cloud, startManager(b, bin, cloud, config, settings(c.static, key, port))
	c.before = cloud.Calls()
}

func (c *contestant) report(b *testing.B) {
	b.Helper()
	slices.Sort(c.took)
	n := len(c.took)
	b.ReportMetric(c.took[n/2].Seconds()*1e3, c.name+"-p50-ms")
	b.ReportMetric(c.took[n*95/100].Seconds()*1e3, c.name+"-p95-ms")
	for name, action := range map[string]string{"-pushes/job": "ec2-instance-connect:SendSSHPublicKey", "-describes/job": "ec2:DescribeInstances"} {
		if calls := c.cloud.Calls()[action] - c.before[action]; calls > 0 {
			b.ReportMetric(float64(calls)/float64(n), c.name+name)
		}
	}
}

func startCloud(b *testing.B, static bool, latency time.Duration) (*ec2.Server, []byte, int) {
	b.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		b.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		b.Fatal(err)
	}
	park, err := machine.Open(machine.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := park.Close(); err != nil {
			b.Error(err)
		}
	})
	group := ec2.GroupConfig{Name: "ci", Max: machines, ProtectNew: true, Suspended: []string{"AZRebalance", "ReplaceUnhealthy"}}
	if static {
		group.KeyName = "ci"
	}
	s, err := ec2.Start(ec2.Config{
		KeyPairs: map[string]string{"ci": strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))}, Machines: ec2.OnPark(park), Latency: latency, Groups: []ec2.GroupConfig{group},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s, pem.EncodeToMemory(block), park.Port()
}

func settings(static bool, key []byte, port int) provider.ConnectorConfig {
	c := provider.ConnectorConfig{ProtocolPort: port}
	if static {
		c.UseStaticCredentials, c.Username, c.Key = true, "ec2-user", key
	}
	return c
}

// startManager starts a manager with the plugin as a process, and waits until all machines are idle.
func startManager(b *testing.B, bin string, cloud *ec2.Server, config map[string]any, c provider.ConnectorConfig) *taskscaler.Taskscaler {
	b.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		b.Fatal(err)
	}
	group, err := plugin.Launch(b.Context(), plugin.LaunchOptions{Path: bin, Config: raw, Env: cloud.Env(), StateDir: b.TempDir(), InsecurePath: true})
	if err != nil {
		b.Fatal(err)
	}
	schedule, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: machines, IdleTime: time.Hour}}}, time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	m, err := taskscaler.New(b.Context(), group, taskscaler.Config{
		MaxInstances: machines, Policies: schedule, UpdateIntervalWhenExpecting: 200 * time.Millisecond, ShutdownDeletionInterval: time.Second, DeleteOnShutdown: true, Connector: c,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	for end := time.Now().Add(hang); ; time.Sleep(50 * time.Millisecond) {
		status, err := m.Status(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if status.Counts.Idle == machines {
			return m
		}
		if time.Now().After(end) {
			b.Fatalf("the machines do not come: %+v", status)
		}
	}
}

// job gets a machine that rests, runs a command on it, and notes how long that took.
func (c *contestant) job(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), hang)
	defer cancel()
	began := time.Now()
	lease, err := c.manager.Acquire(ctx, fmt.Sprint("job ", len(c.took)))
	if err != nil {
		b.Fatal(err)
	}
	client, err := lease.Dial(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var took time.Duration
	if err := client.Run(ctx, connector.RunOptions{Command: "echo it runs", Stdout: first(func() { took = time.Since(began) })}); err != nil || took == 0 {
		b.Fatal("the command did not run", err)
	}
	c.took = append(c.took, took)
	if c.leases = append(c.leases, lease); len(c.leases) == machines {
		for _, l := range c.leases {
			if err := l.Release(ctx); err != nil {
				b.Fatal(err)
			}
		}
		c.leases = nil
	}
}

// first calls itself at a write.
type first func()

func (f first) Write(p []byte) (int, error) { f(); return len(p), nil }
