package taskscaler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// lateNet is a network whose instances accept connections from a time on, and only with a password that has not expired. Like connector.Dial,
// its Dial retries until the Timeout of the connect info.
type lateNet struct {
	testNet
	open    time.Time
	late    sync.Mutex           // jobs and the manager ask and log in at the same time
	asked   int                  // questions for credentials
	expires map[string]time.Time // by password; no entry: never
}

// issue returns new credentials that are good for life (0: for ever).
func (n *lateNet) issue(id string, life time.Duration) provider.ConnectInfo {
	n.late.Lock()
	defer n.late.Unlock()
	n.asked++
	info := provider.ConnectInfo{ID: id, ConnectorConfig: provider.ConnectorConfig{Password: fmt.Sprint("once-", n.asked)}}
	if life != 0 {
		at := time.Now().Add(life)
		if info.Expires = &at; life >= time.Second { // a login takes longer than that, so no network can refuse it
			n.expires[info.Password] = at
		}
	}
	return info
}

// accepts reports whether a login with a password can succeed now.
func (n *lateNet) accepts(password string) bool {
	n.late.Lock()
	defer n.late.Unlock()
	expires, does := n.expires[password]
	return !time.Now().Before(n.open) && (!does || time.Now().Before(expires))
}

var errLate = errors.New("connection refused")

func (n *lateNet) dial(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(info.Timeout, dialTimeout))
	defer cancel()
	for {
		if n.accepts(info.Password) {
			return n.testNet.dial(ctx, info, opts)
		}
		if opts.OnRetry != nil {
			opts.OnRetry(errLate)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, &connector.ConnectError{Address: "10.0.0.1:22", Last: errLate, Cause: ctx.Err()}
		}
	}
}

// startLate starts a manager whose instances can be reached after late, with credentials that are good for life (0: for
// ever). A life below a second is only what the provider says.
func startLate(t *testing.T, late, life time.Duration, opts ...any) (*fixture, *lateNet) {
	n := &lateNet{open: time.Now().Add(late), expires: map[string]time.Time{}}
	return start(t, append([]any{WithDialer(n.dial), withGroup(func(g *testGroup) {
		g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) { return n.issue(id, life), nil }
	})}, opts...)...), n
}

// TestCredentialsThatExpireWhileItBoots: credentials that have expired are of no use, so the provider is asked for new ones.
func TestCredentialsThatExpireWhileItBoots(t *testing.T) {
	for name, tc := range map[string]struct {
		late, life  time.Duration
		least, most int // times that the provider is asked
	}{
		"at once":               {0, time.Minute, 1, 1},
		"a pushed key":          {2 * time.Minute, time.Minute, 3, 4},
		"very short":            {5 * time.Second, 3 * time.Second, 2, 3},
		"shorter than a moment": {5 * time.Second, time.Millisecond, 2, 8},
		"long":                  {30 * time.Second, time.Hour, 1, 1},
		"for ever":              {3 * time.Minute, 0, 3, 4}, // an address may change too
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, n := startLate(t, tc.late+time.Second, tc.life)
				defer f.end()
				f.acquire("job")
				if took := time.Since(n.open); took > tc.life+10*time.Second && tc.life > 0 {
					t.Errorf("the job waited for %s after the instance could be reached", took)
				}
				if asked := f.group.count("connect"); asked < tc.least || asked > tc.most {
					t.Errorf("the provider was asked %d times, want %d to %d", asked, tc.least, tc.most)
				}
				if facts := f.facts.of(scaler.FactPrepare); len(facts) > 0 {
					t.Errorf("a preparation failed: %+v", facts)
				}
			})
		})
	}
}

// TestCredentialsThatAreNeverGood: the provider's clock is wrong, so each answer has expired when it arrives. It is tried all the same, and
// the provider is not asked in a circle.
func TestCredentialsThatAreNeverGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, _ := startLate(t, 50*time.Second, -time.Hour)
		defer f.end()
		f.acquire("job")
		if asked := f.group.count("connect"); asked > 4 {
			t.Errorf("the provider was asked %d times", asked)
		}
	})
}

// TestNewCredentialsCannotBeHad: what the provider says then decides, not that the connection failed.
func TestNewCredentialsCannotBeHad(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		cause record.Cause
	}{
		"gone":      {provider.Errorf(provider.KindNotFound, "it was terminated"), record.CausePrepareFailed},
		"unhealthy": {provider.ErrInstanceUnhealthy, record.CausePrepareFailed},
		"transient": {errors.New("not now"), record.CauseNone},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, _ := startLate(t, 4*time.Minute, time.Minute)
				defer f.end()
				good := hook(f.group, &f.group.onConnect)
				var asked atomic.Int32
				f.group.change(func() {
					f.group.onConnect = func(ctx context.Context, id string) (provider.ConnectInfo, error) {
						if asked.Add(1) == 2 {
							return provider.ConnectInfo{}, tc.err
						}
						return good(ctx, id)
					}
				})
				f.acquire("job")
				failed := f.facts.of(scaler.FactPrepare)
				if len(failed) != 1 || !strings.Contains(failed[0].Failure.Message, tc.err.Error()) || !strings.Contains(failed[0].Failure.Message, errLate.Error()) {
					t.Errorf("failed preparations: %+v", failed)
				}
				if retired := f.facts.of(scaler.FactRetire); (len(retired) == 1) != (tc.cause != record.CauseNone) {
					t.Errorf("retired: %+v", retired)
				}
			})
		})
	}
}

// TestPreparationEndsWithTheConnectorsTimeout: asking again does not begin the time anew.
func TestPreparationEndsWithTheConnectorsTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, _ := startLate(t, time.Hour, time.Minute)
		defer f.end()
		began := time.Now()
		f.until("a preparation failed", func() bool { return len(f.facts.of(scaler.FactPrepare)) > 0 })
		if took := time.Since(began); took < dialTimeout || took > dialTimeout+10*time.Second {
			t.Errorf("it failed after %s, want %s", took, dialTimeout)
		}
		if words := f.facts.of(scaler.FactPrepare)[0].Failure.Message; !strings.Contains(words, "not reached within 10m0s") || !strings.Contains(words, errLate.Error()) {
			t.Errorf("it says %q", words)
		}
	})
}

// TestHostKeyThatChangesInTheFirstBoot: the key that an instance has when it becomes ready is pinned, and no other afterwards.
func TestHostKeyThatChangesInTheFirstBoot(t *testing.T) {
	const image, own = "ssh-ed25519 of-the-image", "ssh-ed25519 its-own"
	for name, tc := range map[string]struct {
		given []string // by the provider
		ready bool     // a ready command runs, and the key changes meanwhile
		want  string   // the pinned key; "": the instance is not used
	}{
		"during the ready command":     {nil, true, own},
		"it stays":                     {nil, false, image},
		"the provider knew it":         {[]string{image, own}, true, image},
		"the provider knows one other": {[]string{own}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withConfig(func(c *Config) { c.ReadyCommand = "cloud-init status --wait" }), withNet(func(n *testNet) {
					n.rekey("i-0001", image)
					n.run = func(context.Context, string, connector.RunOptions) error {
						if tc.ready {
							n.rekey("i-0001", own)
						}
						return nil
					}
				}), withGroup(func(g *testGroup) {
					g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
						info := provider.ConnectInfo{ID: id, InternalAddr: "10.0.0.1"}
						if id == "i-0001" {
							info.HostKeys = tc.given
						}
						return info, nil
					}
				}))
				defer f.end()
				l := f.acquire("job")
				if (l.InstanceID() == "i-0001") != (tc.want != "") {
					t.Fatalf("leased %s", l.InstanceID())
				}
				if tc.want == "" {
					return
				}
				info, err := l.ConnectInfo(t.Context())
				if err != nil || info.HostKeys[0] != tc.want {
					t.Fatalf("pinned %q, %v; want %q", info.HostKeys, err, tc.want)
				}
				f.net.rekey("i-0001", "ssh-ed25519 another")
				var changed *connector.HostKeyError
				if _, err := l.Dial(t.Context()); !errors.As(err, &changed) {
					t.Errorf("a key that changes after the preparation: %v", err)
				}
			})
		})
	}
}

// TestHostKeyStaysPinnedWhenItIsPreparedAgain: an instance that was ready keeps its key, although it is prepared again after it was lost, with
// new credentials or not, by this manager or the next.
func TestHostKeyStaysPinnedWhenItIsPreparedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		expires time.Duration // of the credentials; 0: never
		restart bool          // while the instance is lost
	}{
		"good for ever":                  {},
		"expired":                        {expires: time.Minute},
		"good for ever and a restart":    {restart: true},
		"expired and another manager":    {expires: time.Minute, restart: true},
		"expired when they are answered": {expires: -time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				connect := func(_ context.Context, id string) (provider.ConnectInfo, error) {
					info := provider.ConnectInfo{ID: id, InternalAddr: "10.0.0.1"}
					if tc.expires != 0 {
						info.Expires = ptr(time.Now().Add(tc.expires))
					}
					return info, nil
				}
				opts := []any{
					withConfig(func(c *Config) { c.ReadyCommand = "true" }), withGroup(func(g *testGroup) { g.onConnect = connect }),
				}
				f := start(t, opts...)
				defer func() { f.end() }()
				f.until("an instance is ready", func() bool { return f.status().Counts.ReadyCount == 1 })
				at := f.group.instances["i-0001"]
				f.group.vanish("i-0001")
				f.until("it is lost", func() bool { return len(f.facts.of(scaler.FactLost)) == 1 })
				f.net.rekey("i-0001", "ssh-ed25519 another")
				if tc.restart {
					store, group := f.crash()
					f = start(t, append([]any{withStore(store), onGroup(group, f.net)}, opts...)...)
				}
				f.group.change(func() { f.group.instances["i-0001"] = at })
				f.until("its preparation failed", func() bool { return len(f.facts.of(scaler.FactPrepare)) == 1 })
				if fact := f.facts.of(scaler.FactPrepare)[0]; fact.ID != "i-0001" || fact.Failure.Kind != provider.KindUnhealthy {
					t.Errorf("the failure is %+v", fact)
				}
			})
		})
	}
}

// TestNameOfALostInstance: a new instance under the name of one that was lost has a host key of its own, and is not held to the other one's.
func TestNameOfALostInstance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.Policies = 1, idle(t, 0, time.Hour) }),
			withGroup(func(g *testGroup) { g.boot = 10 * time.Second }))
		defer f.end()
		f.acquire("first")
		f.group.change(func() { f.group.next = 0 })
		f.net.rekey("i-0001", "ssh-ed25519 of the new one")
		f.group.vanish("i-0001")
		f.until("it is lost", func() bool { return len(f.facts.of(scaler.FactLost)) == 1 })
		l := f.acquire("second")
		info, err := l.ConnectInfo(t.Context())
		if err != nil || l.InstanceID() != "i-0001" || !slices.Equal(info.HostKeys, []string{"ssh-ed25519 of the new one"}) {
			t.Errorf("leased %s with the keys %q, %v", l.InstanceID(), info.HostKeys, err)
		}
		if failed := f.facts.of(scaler.FactPrepare); len(failed) > 0 {
			t.Errorf("its preparation failed: %+v", failed)
		}
	})
}

// TestTimeoutOfTheProvider: the connect info of a lease has the timeout that the provider gave, also after a restart. That of one attempt,
// which is shorter, is not kept.
func TestTimeoutOfTheProvider(t *testing.T) {
	for name, life := range map[string]time.Duration{"good for ever": 0, "short-lived": time.Minute, "very short-lived": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const want = 7 * time.Minute
				f, n := startLate(t, 2*time.Minute, life)
				defer func() { f.end() }()
				without := hook(f.group, &f.group.onConnect)
				with := func(ctx context.Context, id string) (provider.ConnectInfo, error) {
					info, err := without(ctx, id)
					info.Timeout = want
					return info, err
				}
				f.group.change(func() { f.group.onConnect = with })
				info, err := f.acquire("job").ConnectInfo(t.Context())
				if err != nil || info.Timeout != want {
					t.Errorf("the timeout is %v, %v; want %v", info.Timeout, err, want)
				}
				store, group := f.crash()
				snap, err := store.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				vault, err := openVault(&snap, &f.config().Connector)
				if err != nil {
					t.Fatal(err)
				}
				if stored, ok := vault.get("i-0001"); !ok || stored.info.Reveal().Timeout != want {
					t.Errorf("the stored timeout is %v, want %v", stored.info.Reveal().Timeout, want)
				}
				group.onConnect = with
				f = start(t, withStore(store), onGroup(group, &n.testNet), WithDialer(n.dial))
				l, err := f.Reattach(t.Context(), "job")
				if err != nil {
					t.Fatal(err)
				}
				if info, err = l.ConnectInfo(t.Context()); err != nil || info.Timeout != want {
					t.Errorf("after a restart the timeout is %v, %v; want %v", info.Timeout, err, want)
				}
			})
		})
	}
}

// TestSecondLookFails: an instance that cannot be reached after its ready command is not ready: the key that it had before must not stay pinned.
func TestSecondLookFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ran, failed := 0, 0
		f := start(t, withConfig(func(c *Config) { c.ReadyCommand = "cloud-init status --wait" }), withNet(func(n *testNet) {
			n.run = func(context.Context, string, connector.RunOptions) error { ran++; return nil }
			n.fail = func(string) error {
				if ran == 1 && failed == 0 {
					failed++
					return &connector.LostError{Err: errors.New("reset after the ready command")}
				}
				return nil
			}
		}))
		defer f.end()
		f.acquire("job")
		if ran != 2 {
			t.Errorf("the ready command ran %d times: want a second preparation", ran)
		}
		if facts := f.facts.of(scaler.FactPrepare); len(facts) != 1 || !strings.Contains(facts[0].Failure.Message, "reset after the ready command") {
			t.Errorf("facts %+v", facts)
		}
	})
}

// TestAwayWhileCredentialsAreRenewed: a plugin that is away when expired credentials are asked for again says nothing about the instance.
func TestAwayWhileCredentialsAreRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, WithDialer(func(_ context.Context, info provider.ConnectInfo, _ connector.DialOptions) (connector.Client, error) {
			time.Sleep(info.Timeout)
			return nil, errors.New("no login")
		}))
		defer f.end()
		soon := time.Now().Add(2 * time.Second)
		info := provider.ConnectInfo{ID: "i-0001", InternalAddr: "10.0.0.1", Expires: &soon}
		_, _, err := f.reach(t.Context(), info, func() (provider.ConnectInfo, error) {
			return info, provider.Errorf(provider.KindThrottled, "%w: restarting", provider.ErrAway)
		}, waitForTheWay)
		if !errors.Is(err, provider.ErrAway) || provider.KindOf(err) != provider.KindThrottled || !strings.Contains(err.Error(), "no login") {
			t.Errorf("%v", err)
		}
	})
}

// TestWhatALoginMayUse: the operator's password is sent to an unknown machine only if the operator said so, the password of one instance always.
func TestWhatALoginMayUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got connector.DialOptions
		f := start(t, WithDialer(func(_ context.Context, _ provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
			got = opts
			return nil, errors.New("no login")
		}))
		defer f.end()
		for name, c := range map[string]struct {
			operators, reported string
			change              func(*Config)
			password, legacy    bool
			groups              bool
		}{
			"the operator's":                     {operators: "o", reported: "o"},
			"the operator's, said":               {operators: "o", reported: "o", change: func(c *Config) { c.PasswordWithoutHostKey = true }, password: true},
			"the instance's":                     {reported: "i", password: true},
			"the instance's, not the operator's": {operators: "o", reported: "i", password: true},
			"old servers":                        {operators: "o", reported: "o", change: func(c *Config) { c.AllowLegacySSH = true }, legacy: true},
			"the group exchange":                 {operators: "o", reported: "o", change: func(c *Config) { c.AllowDHGroupExchange = true }, groups: true},
		} {
			cfg := *f.config()
			cfg.Connector.Password, cfg.PasswordWithoutHostKey, cfg.AllowLegacySSH = c.operators, false, false
			cfg.AllowDHGroupExchange = false
			cfg.WinRM.Shell = connector.WinRMPowerShell
			if c.change != nil {
				c.change(&cfg)
			}
			f.Taskscaler.cfg.Store(&cfg)
			info := provider.ConnectInfo{ID: "i-0001", InternalAddr: "10.0.0.1"}
			info.Password = c.reported
			_, _, _ = f.dial(t.Context(), info)
			if got.WinRM.Shell != connector.WinRMPowerShell {
				t.Errorf("%s: WinRM %+v", name, got.WinRM)
			}
			if got.PasswordWithoutHostKey != c.password || got.LegacyAlgorithms != c.legacy || got.GroupExchange != c.groups {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// TestReachableAfterARace: one question for connect info fails while another is answered, and the core hears of the failure last. The instance serves
// again when it is asked about next.
func TestReachableAfterARace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.MaxInstances = 1 }))
		defer f.end()
		l := f.acquire("one")
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: l.id, Serial: l.serial, On: true}, nil)
		f.work.running.start(func() { f.probe(l.id, l.serial, 1) })
		ctx, cancel := context.WithTimeout(t.Context(), 2*probeFirst)
		defer cancel()
		next, err := f.Acquire(ctx, "two")
		if err != nil {
			t.Fatal(err)
		}
		if next.InstanceID() != l.InstanceID() || next.Waited() == 0 {
			t.Errorf("%s after %v, want %s after a wait", next.InstanceID(), next.Waited(), l.InstanceID())
		}
	})
}
