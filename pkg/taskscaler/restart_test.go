package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// slots returns the place of each lease in Status.
func slots(s Status) map[string]string {
	out := map[string]string{}
	for _, i := range s.Instances {
		for _, l := range i.Leases {
			out[l.Key] = fmt.Sprintf("%s/%d", i.ID, l.Slot)
		}
	}
	return out
}

func TestLeasesSurviveARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		want := map[string]string{}
		for i := range 5 {
			l := f.acquire(fmt.Sprint("job-", i))
			want[l.Key()] = fmt.Sprintf("%s/%d", l.InstanceID(), l.Slot())
		}
		if got := slots(f.status()); !reflect.DeepEqual(got, want) {
			t.Fatalf("status %v, leases %v", got, want)
		}
		store, group := f.crash()

		f = start(t, withStore(store), onGroup(group, f.net))
		defer f.end()
		if got := slots(f.status()); !reflect.DeepEqual(got, want) {
			t.Errorf("after the restart, before anything else: %v, want %v", got, want)
		}
		for key, place := range want {
			l, err := f.Reattach(t.Context(), key)
			if err != nil {
				t.Errorf("Reattach(%s): %v", key, err)
				continue
			}
			if got := fmt.Sprintf("%s/%d", l.InstanceID(), l.Slot()); got != place {
				t.Errorf("%s is on %s, was on %s", key, got, place)
			}
			if _, err := l.Dial(t.Context()); err != nil {
				t.Errorf("Dial of a reattached lease: %v", err)
			}
		}
		if _, err := f.Reattach(t.Context(), "nobody"); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("Reattach of an unknown key: %v", err)
		}
		time.Sleep(20 * time.Minute)
		if got := slots(f.status()); !reflect.DeepEqual(got, want) {
			t.Errorf("twenty minutes later: %v, want %v", got, want)
		}
		if n := len(f.group.ids()); n != 3 {
			t.Errorf("%d instances, want the same 3 as before", n)
		}
	})
}

func TestLeaseThatNobodyTakesUpAgainIsRevoked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		f.acquire("job")
		store, group := f.crash()
		f = start(t, withStore(store), onGroup(group, f.net))
		defer f.end()
		time.Sleep(4 * time.Minute)
		if c := f.status().Counts; c.Leases != 1 {
			t.Errorf("after 4 minutes: %+v", c)
		}
		time.Sleep(2 * time.Minute)
		if c := f.status().Counts; c.Leases != 0 {
			t.Errorf("after 6 minutes: %+v", c)
		}
		f.until("the delete of the instance whose caller did not reattach", func() bool { return !slices.Contains(f.group.ids(), "i-0001") })
	})
}

func TestHostKeyStaysPinnedOverARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		l := f.acquire("job")
		store, group := f.crash()
		f.net.rekey(l.InstanceID(), "ssh-ed25519 somebody-else")

		f = start(t, withStore(store), onGroup(group, f.net))
		defer f.end()
		l, err := f.Reattach(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		info, err := l.ConnectInfo(t.Context())
		if err != nil || len(info.HostKeys) != 1 || info.HostKeys[0] != "ssh-ed25519 i-0001" {
			t.Errorf("connect info %+v, %v: want the key pinned before the restart", info.HostKeys, err)
		}
		_, err = l.Dial(t.Context())
		var changed *connector.HostKeyError
		if !errors.As(err, &changed) {
			t.Errorf("Dial: %v, want a HostKeyError", err)
		}
		var revoked *RevokedError
		if <-l.Context().Done(); !errors.As(l.Err(), &revoked) || revoked.Cause != record.CauseChangedHostKey {
			t.Errorf("the lease: %v", l.Err())
		}
	})
}

func TestStaticCredentialsAreNotStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const password, key = "hunter2-hunter2", "-----BEGIN KEY-----\nc2VjcmV0\n-----END KEY-----\n"
		static := func(password string) option {
			return withConfig(func(c *Config) {
				c.Connector.Password, c.Connector.Key, c.Connector.UseStaticCredentials = password, []byte(key), true
			})
		}
		connect := withGroup(func(g *testGroup) {
			g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
				return provider.ConnectInfo{ID: id, ConnectorConfig: provider.ConnectorConfig{Password: password, Key: []byte(key)}}, nil
			}
		})
		f := start(t, static(password), connect)
		f.acquire("job")
		store, group := f.crash()
		snap, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		value := string(snap.Secrets["i-0001"])
		if value == "" || strings.Contains(value, password) || strings.Contains(value, "LS0tLS1") {
			t.Errorf("stored: %s", value)
		}
		if f.log.has(password) {
			t.Error("the password is in the log")
		}
		f = start(t, withStore(store), onGroup(group, f.net), static("changed-since"))
		defer f.end()
		l, err := f.Reattach(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		info, err := l.ConnectInfo(t.Context())
		if err != nil || info.Password != "changed-since" || string(info.Key) != key {
			t.Errorf("password %q, key %q, %v: want those of the settings", info.Password, info.Key, err)
		}
	})
}

func TestStateOfAnotherGroupIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		f.acquire("job")
		store, _ := f.crash()
		other := newGroup()
		other.id = "test/another"
		_, err := New(t.Context(), other, f.cfg, WithStore(store))
		var mismatch *GroupMismatchError
		if !errors.As(err, &mismatch) || mismatch.Stored != "test/group" || mismatch.Provider != "test/another" {
			t.Errorf("err = %v, want a GroupMismatchError", err)
		}
		if other.shut != 1 || store.(*statestore.Memory).Open() {
			t.Errorf("group shut down %d times, store open %v", other.shut, store.(*statestore.Memory).Open())
		}
	})
}

func TestInstancesBesideAnEmptyStoreAreHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nothing, err := policy.Compile(nil, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		f := start(t, withConfig(func(c *Config) { c.Policies = nothing }), withGroup(func(g *testGroup) { g.add(3) }))
		defer f.end()
		threeAreHeld(f)
	})
}

// TestInstancesBesideABoundStoreAreHeld: a store that names the group and remembers no instance knows nothing of those that are there.
func TestInstancesBesideABoundStoreAreHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := statestore.NewMemory()
		if err := store.Commit(t.Context(), statestore.Commit{Changes: &record.Changes{Meta: &record.Meta{Group: "test/group"}}}); err != nil {
			t.Fatal(err)
		}
		nothing, err := policy.Compile(nil, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		f := start(t, withStore(store), withConfig(func(c *Config) { c.Policies = nothing }), withGroup(func(g *testGroup) { g.add(3) }))
		defer f.end()
		threeAreHeld(f)
	})
}

// threeAreHeld checks that the group's three instances are neither used nor deleted within an hour.
func threeAreHeld(f *fixture) {
	f.t.Helper()
	time.Sleep(time.Hour)
	if n := f.group.count("decrease"); n != 0 || len(f.group.ids()) != 3 {
		f.t.Errorf("%d deletes, %d instances left of 3", n, len(f.group.ids()))
	}
	if c := f.status().Counts; c.Unclaimed != 3 || c.Free != 0 {
		f.t.Errorf("counts = %+v", c)
	}
}

func TestNewThatFailsClosesWhatItWasGiven(t *testing.T) {
	bad := errors.New("no")
	for name, tc := range map[string]struct {
		cfg   Config
		group func(*testGroup)
		store func(*testStore)
		want  string
	}{
		"configuration": {cfg: Config{UpdateInterval: -1, CapacityPerInstance: -2}, want: "CapacityPerInstance is negative: set it to 0 for the default, or to a positive value\nUpdateInterval is negative"},
		"init": {
			group: func(g *testGroup) { g.onInit = func() error { return provider.Errorf(provider.KindConfig, "%w", bad) } },
			want:  "Init of the provider: config: no",
		},
		"init panics": {group: func(g *testGroup) { g.onInit = func() error { panic("boom") } }, want: "panic: boom"},
		"binding": {
			store: func(s *testStore) { s.set(func(context.Context, statestore.Commit) error { return bad }) },
			want:  `bind the state to group "test/group": no`,
		},
		"load": {store: func(s *testStore) { _ = s.Close() }, want: "load the state"},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := newGroup(), newStore()
			if tc.group != nil {
				tc.group(g)
			}
			if tc.store != nil {
				tc.store(s)
			}
			ts, err := New(t.Context(), g, tc.cfg, WithStore(s))
			if ts != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New = %v, %v; want an error with %q", ts, err, tc.want)
			}
			if g.shut != 1 || s.Open() {
				t.Errorf("group shut down %d times, store open %v", g.shut, s.Open())
			}
		})
	}
}
