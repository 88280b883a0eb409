package taskscaler

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/brokengroup"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const deletedIt = "the provider is deleting it without our request"

// brokenCases lists what the manager says of a fault, and which faults end a lease: those in which the provider says that the machine is gone or unfit.
// docs/plugins.md has the same table. Faults that the manager cannot see, or need not mind, have no words.
var brokenCases = []struct {
	fault string
	says  string // in the status or the log
	lost  string // why the lease of before is revoked; empty: it is held
	more  bool   // machines come that the manager cannot count
}{
	{fault: "list-fails", says: "listing the instances fails, so an instance that boots cannot be seen"},
	{fault: "list-blocks", says: "earlier calls of Update have not returned although their contexts have ended"},
	{fault: "list-slow", says: "raise call_timeouts.update if it needs more time"},
	{fault: "list-hangs-when-cancelled"}, {fault: "list-half-when-cancelled"}, {fault: "list-forgets"}, {fault: "list-repeats"},
	{fault: "list-invents", says: "instance zz-ghost is unclaimed"},
	{fault: "list-revives"},
	{fault: "list-loses", says: deletedIt, lost: deletedIt},
	{fault: "list-deletes", says: deletedIt, lost: deletedIt},
	{fault: "ids-empty", says: "lists instances whose ids cannot be used"},
	{fault: "ids-control", says: "contains the character U+001B, which cannot be printed", lost: "no longer lists it", more: true},
	{fault: "ids-long", says: "and at most 512 can be used", lost: "no longer lists it", more: true},
	{fault: "ids-bytes", says: "is not valid UTF-8", lost: "no longer lists it", more: true},
	{fault: "state-unknown", says: "reports a state that is not one of the contract"},
	{fault: "state-empty", says: "reports a state that is not one of the contract"},
	{fault: "state-backwards"}, {fault: "state-early"},
	{fault: "state-never", says: "did not run within instance_deadlines.creating", lost: "not running for instance_deadlines.creating"},
	{fault: "serial", says: "another operation is in progress"},
	{fault: "increase-fails", says: "no machine of this type is left"},
	{fault: "increase-blocks", says: `"call":"Increase","count":1`},
	{fault: "increase-zero", says: "accepted less than was asked for and did not say why"},
	{fault: "increase-silent", says: "did not appear within instance_deadlines.requested, although the provider accepted the create"},
	{fault: "increase-overcounts"}, {fault: "increase-undercounts"}, {fault: "increase-drops"},
	{fault: "increase-doubles", says: "is unclaimed: the state has no record of it", more: true},
	{fault: "decrease-blocks", says: `"call":"Decrease","count":3`},
	{fault: "decrease-other", says: deletedIt, lost: deletedIt},
	{fault: "decrease-nothing", says: "fact=alarm"}, {fault: "decrease-stays", says: "fact=alarm"},
	{fault: "decrease-accepts-nothing", says: "did not accept the delete and returned no error"},
	{fault: "decrease-foreign"}, {fault: "decrease-gone-fails"}, {fault: "decrease-again-fails"}, {fault: "decrease-again-other"},
	{fault: "decrease-empty-all"}, {fault: "decrease-unknown-any"},
	{fault: "connect-blocks", says: `"call":"ConnectInfo","count":3`},
	{fault: "connect-fails", says: "preparing instance m-0001 failed"},
	{fault: "connect-wrong-password", says: "permission denied"},
	{fault: "connect-wrong-host-key", says: "the host key is another one"},
	{fault: "heartbeat-never", says: "Heartbeat fails", lost: "the provider said so in its heartbeat"},
	{fault: "heartbeat-cancelled"}, {fault: "heartbeat-unknown"}, {fault: "kind-unknown"}, {fault: "kind-no-text"},
}

// brokenRun is a manager on a group whose fault begins after the first lease.
type brokenRun struct {
	*fixture
	group *brokengroup.Group
	kept  *Lease
	until chan struct{}
}

func startBroken(t *testing.T, name, dir string) *brokenRun {
	r := &brokenRun{until: make(chan struct{})}
	r.group = brokengroup.New(brokengroup.Fault{Name: name}, filepath.Join(dir, "table"), r.until).(*brokengroup.Group)
	r.group.MaxSize, r.group.BootMS, r.group.DeleteMS = 6, 5000, 5000
	r.group.Mend()
	net := &testNet{}
	r.fixture = start(t, option(func(f *fixture) { f.as = r.group }), withConfig(func(c *Config) { c.DeletingAlarm = 5 * time.Minute }), WithDialer(func(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
		if err := brokengroup.Dial(ctx, info); err != nil {
			return nil, err
		}
		info.HostKeys = []string{"ssh-ed25519 " + info.ID} // what testNet shows
		return net.dial(ctx, info, opts)
	}))
	r.kept = r.acquire("kept")
	r.group.Spoil()
	return r
}

// live lets jobs come for a while. It returns the most machines that there were, and whether the status had the words at some time.
func (r *brokenRun) live(ctx context.Context, says string) (most int, said bool) {
	for i := range 12 {
		go func() {
			time.Sleep(time.Duration(i)*time.Minute + time.Second)
			if l, err := r.Acquire(ctx, string(rune('a'+i))); err == nil {
				time.Sleep(2 * time.Minute)
				_ = l.Release(ctx)
			}
		}()
	}
	for range 30 * 12 {
		time.Sleep(5 * time.Second)
		n := 0
		_ = r.group.Memory.Update(ctx, func(string, provider.State) { n++ })
		most = max(most, n)
		status, err := json.Marshal(r.status())
		said = said || err == nil && strings.Contains(string(status), says)
	}
	return most, said
}

// TestBrokenGroups: with each fault the manager stays right, says what is wrong, and serves jobs again when the fault ends.
func TestBrokenGroups(t *testing.T) {
	guide, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range brokenCases {
		t.Run(c.fault, func(t *testing.T) {
			if !strings.Contains(string(guide), "`"+c.fault+"`") {
				t.Errorf("docs/plugins.md does not say what the manager does with it")
			}
			dir := t.TempDir()
			bubble(t, func(t *testing.T) {
				r := startBroken(t, c.fault, dir)
				defer r.end()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				most, said := r.live(ctx, c.says)
				if limit := r.cfg.MaxInstances; most > limit && !c.more {
					t.Errorf("there were %d machines, and max_instances is %d", most, limit)
				}
				cause := context.Cause(r.kept.Context())
				if (cause != nil) != (c.lost != "") || cause != nil && !strings.Contains(cause.Error(), c.lost) {
					t.Errorf("the lease of before ended with %v, want %q", cause, c.lost)
				}
				if !said && !strings.Contains(r.log.String(), c.says) {
					t.Errorf("neither the status nor the log says %q\n%s", c.says, r.log)
				}
				r.group.Mend()
				close(r.until)
				time.Sleep(30 * time.Minute)
				if _, err := r.Acquire(ctx, "after"); err != nil {
					t.Errorf("after the fault: %v", err)
				}
				if s := r.status(); !s.Ready || s.Lists.Failing || len(s.Plugin.Unanswered) > 0 || len(s.Waiters) > 0 {
					t.Errorf("after the fault: ready %v, lists %+v, plugin %+v, %d wait", s.Ready, s.Lists, s.Plugin, len(s.Waiters))
				}
			})
		})
	}
}
