package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// hangs bounds what a test waits for. Only a hang reaches it.
const hangs = 2 * time.Minute

// rig is a group of this package on a server.
type rig struct {
	*InstanceGroup
	t     *testing.T
	cloud *ec2.Server
	log   *strings.Builder
}

// ciGroup is the group of most tests: nothing to warn about, and quick.
func ciGroup(change ...func(*ec2.GroupConfig)) ec2.GroupConfig {
	c := ec2.GroupConfig{Name: "ci", Max: 10, ProtectNew: true, Suspended: []string{"AZRebalance", "ReplaceUnhealthy"}, Reaction: 5 * time.Millisecond, Retry: 20 * time.Millisecond}
	for _, f := range change {
		f(&c)
	}
	return c
}

// startCloud starts a server, and sets the environment that leads to it.
func startCloud(t testing.TB, cfg ec2.Config) *ec2.Server {
	t.Helper()
	s, err := ec2.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, e := range s.Env() {
		key, value, _ := strings.Cut(e, "=")
		t.Setenv(key, value)
	}
	t.Setenv("HOME", t.TempDir()) // no file of the developer's
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return s
}

// newGroup returns a group before Init that does not waste the time of a test.
func newGroup(change ...func(*InstanceGroup)) *InstanceGroup {
	g := &InstanceGroup{Name: "ci", APIRate: -1, LaunchWait: provider.Duration(5 * time.Second), looks: looks{10 * time.Millisecond, 40 * time.Millisecond}}
	for _, f := range change {
		f(g)
	}
	return g
}

// open starts a server with one group, and a plugin's group on it.
func open(t *testing.T, config ec2.GroupConfig, change ...func(*InstanceGroup)) *rig {
	t.Helper()
	return attach(t, startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{config}}), change...)
}

func attach(t *testing.T, s *ec2.Server, change ...func(*InstanceGroup)) *rig {
	t.Helper()
	r := &rig{newGroup(change...), t, s, &strings.Builder{}}
	if _, err := r.Init(t.Context(), hclog.New(&hclog.LoggerOptions{Output: r.log}), provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// list returns what Update reports.
func (r *rig) list() map[string]provider.State {
	r.t.Helper()
	all := map[string]provider.State{}
	if err := r.Update(r.t.Context(), func(id string, s provider.State) { all[id] = s }); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// running waits until the list has n running instances and no other, and returns their ids.
func (r *rig) running(n int) (ids []string) {
	r.t.Helper()
	r.until("instances that run", func() bool {
		ids = nil
		for id, s := range r.list() {
			if s == provider.StateRunning {
				ids = append(ids, id)
			}
		}
		return len(ids) == n
	})
	return ids
}

func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(hangs); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			truth, _ := r.cloud.State("ci")
			r.t.Fatalf("no %s: %+v\n%s", what, truth, r.log)
		}
	}
}

// desired is what the group was asked for.
func (r *rig) desired() int {
	r.t.Helper()
	truth, err := r.cloud.State("ci")
	if err != nil {
		r.t.Fatal(err)
	}
	return truth.Desired
}

func (r *rig) want(what string, got, want any) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %v, want %v\n%s", what, got, want, r.log)
	}
}
