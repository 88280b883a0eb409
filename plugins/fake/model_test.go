package fake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// reopen returns a second group on the same folder, as after a restart of the plugin.
func reopen(t *testing.T, g *InstanceGroup) *InstanceGroup {
	t.Helper()
	again := &InstanceGroup{Dir: g.Dir, RecordDir: g.RecordDir, Seed: g.Seed, Config: g.Config}
	if _, err := again.Init(t.Context(), hclog.NewNullLogger(), provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	return again
}

func TestRestartFindsEverythingAgain(t *testing.T) {
	t.Parallel()
	g := newGroup(t, `{"boot":{"distribution":"constant","value":"20ms"},"delete":{"distribution":"constant","value":"1h"}}`)
	increase(t, g, 3)
	ids := running(t, g, 3)
	before := connectInfo(t, g, ids[1])
	if _, err := g.Decrease(t.Context(), ids[:1]); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, g) // the first one was not shut down, as if it was killed
	got := list(t, again)
	if len(got) != 3 || got[ids[0]] != provider.StateDeleting || got[ids[1]] != provider.StateRunning {
		t.Fatalf("after a restart %v, want all three, the first deleting", got)
	}
	after := connectInfo(t, again, ids[1])
	if after.ExternalAddr != before.ExternalAddr || !bytes.Equal(after.Key, before.Key) {
		t.Error("the connect info of an instance changed with the restart")
	}
	if out := run(t, dial(t, after), "echo alive"); out != "alive\n" {
		t.Errorf("output %q", out)
	}
	increase(t, again, 1)
	for id := range list(t, again) {
		if !slices.Contains(ids, id) && !strings.HasSuffix(id, "-4") {
			t.Errorf("the new instance is %s, want number 4", id)
		}
	}
	// If the first plugin still runs, it sees the changes of the other one.
	if got := list(t, g); len(got) != 4 {
		t.Errorf("the other plugin on the group lists %v, want 4 instances", got)
	}
	vanish(t, g)
}

func TestLeftoversAreCleared(t *testing.T) {
	g := newGroup(t, `{}`)
	increase(t, g, 1)
	id := running(t, g, 1)[0]
	for _, name := range []string{halfMade + "fake-000000-7", halfGone + "fake-000000-8"} {
		if err := os.MkdirAll(filepath.Join(g.Dir, name, workFolder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// The plugin was killed when the folder was complete and before the process was started.
	stillborn := filepath.Join(g.Dir, g.state.id(9))
	if err := os.Mkdir(stillborn, 0o700); err != nil {
		t.Fatal(err)
	}
	f := folder{dir: stillborn, spec: g.machines[id].spec}
	f.spec.ID, f.spec.Number, f.spec.Record = g.state.id(9), 9, f.path(recordFile)
	if err := writeJSON(f.path(specFile), f.spec); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, g)
	if got := list(t, again); len(got) != 1 || got[id] != provider.StateRunning {
		t.Errorf("list %v, want the one instance", got)
	}
	entries, err := os.ReadDir(g.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != id {
			t.Errorf("the folder %s is still there", e.Name())
		}
	}
}

func TestInstanceLeavesWithItsFolder(t *testing.T) {
	t.Parallel()
	records := t.TempDir()
	g := newGroup(t, `{"record_dir":"`+records+`"}`)
	increase(t, g, 2)
	ids := running(t, g, 2)
	if err := os.RemoveAll(filepath.Join(g.Dir, ids[0])); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its process to leave", func() bool {
		return len(processesOf(filepath.Join(g.Dir, ids[0]))) == 0 && len(processesOf(g.Dir)) == 1
	})
	// A process that ends loses its name in /proc before it loses the lock by which the list knows it.
	eventually(t, "the list to show only the other instance", func() bool {
		got := list(t, g)
		return len(got) == 1 && got[ids[1]] == provider.StateRunning
	})
	vanish(t, g) // and then the whole group
	entries, err := record.ReadDir(records)
	if err != nil || len(record.Alive(entries)) != 0 {
		t.Errorf("alive according to the records: %v, %v", record.Alive(entries), err)
	}
}

func TestLastInstanceClearsTheGroupAway(t *testing.T) {
	t.Parallel()
	records := t.TempDir()
	g := newGroup(t, `{"record_dir":"`+records+`","life_limit":"1s"}`)
	increase(t, g, 2)
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the folder to be gone", func() bool { return !exists(filepath.Dir(g.Dir)) })
	eventually(t, "the processes to be gone", func() bool { return len(processesOf(g.Dir)) == 0 })
	expired := 0
	all, _ := events(t, records)
	for _, e := range all {
		if e == record.Expired {
			expired++
		}
	}
	if expired != 2 {
		t.Errorf("Shutdown ended instances: their records are %v", all)
	}
}

func TestIDsAreNeverRepeated(t *testing.T) {
	g := newGroup(t, `{}`)
	increase(t, g, 1)
	first := running(t, g, 1)[0]
	emptied(t, g)
	again := reopen(t, g)
	increase(t, again, 1)
	if second := running(t, again, 1)[0]; second == first {
		t.Errorf("the id %s was used twice", first)
	}
}

// TestFates tests every random ending of an instance, with real processes.
func TestFates(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, config string
		state        provider.State // the last state that is listed
		gone         bool           // whether the instance then ends without a delete
		last         record.Event
	}{
		{"hangs", `{"boot_failure":{"probability":1}}`, provider.StateCreating, false, record.Deleted},
		{"times out", `{"boot_failure":{"probability":1,"mode":"timeout"}}`, provider.StateTimeout, false, record.Deleted},
		{"vanishes", `{"boot":{"distribution":"constant","value":"300ms"},"boot_failure":{"probability":1,"mode":"vanish"}}`,
			provider.StateCreating, true, record.Vanished},
		{"dies young", `{"boot_failure":{"probability":1,"mode":"die","after":{"distribution":"constant","value":"1s"}}}`,
			provider.StateRunning, true, record.Vanished},
		{"is reclaimed", `{"spot":{"reclaim_per_hour":3600},"seed":3}`, provider.StateRunning, true, record.Reclaimed},
		{"expires", `{"life_limit":"1s"}`, provider.StateRunning, true, record.Expired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			records := t.TempDir()
			g := newGroup(t, strings.Replace(tc.config, "{", `{"record_dir":"`+records+`",`, 1))
			increase(t, g, 1)
			seen := false
			await := func() bool {
				all := list(t, g)
				for _, s := range all {
					seen = seen || s == tc.state
				}
				if len(all) == 0 && !seen { // the machine is busy and the test looked too late: try the next instance
					increase(t, g, 1)
				}
				return seen && (!tc.gone || len(all) == 0)
			}
			eventually(t, string(tc.state), await)
			if !tc.gone {
				emptied(t, g)
			}
			entries, err := record.ReadDir(records)
			if err != nil {
				t.Fatal(err)
			}
			if last := entries[len(entries)-1].Event; last != tc.last {
				t.Errorf("the last record is %q, want %q", last, tc.last)
			}
			booted := slices.ContainsFunc(entries, func(e record.Entry) bool { return e.Event == record.Booted })
			if booted != (tc.state == provider.StateRunning) {
				t.Errorf("booted: %v, for an instance whose last state is %q", booted, tc.state)
			}
		})
	}
}

func TestRefusedCreates(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, config string
		told, exist  int
		kind         provider.FailureKind
	}{
		{"quota", `{"quota":{"limit":1}}`, 1, 1, provider.KindQuota},
		{"stock-out", `{"stockout":{"windows":[{"until":"1h"}]}}`, 0, 0, provider.KindCapacity},
		{"throttled", `{"create_errors":[{"probability":1,"kind":"throttled","retry_after":"3s"}]}`, 0, 0, provider.KindThrottled},
		{"answer lost", `{"create_errors":[{"probability":1,"created":true}]}`, 0, 2, provider.KindTransient},
		{"partial", `{"partial":{"probability":1},"seed":1}`, -1, -1, provider.KindCapacity},
		{"max size", `{"max_size":1}`, 1, 1, provider.KindQuota},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGroup(t, tc.config)
			told, err := g.Increase(t.Context(), 2)
			var failure *provider.Error
			if !errors.As(err, &failure) || failure.Kind != tc.kind {
				t.Fatalf("Increase = %d, %v, want kind %v", told, err, tc.kind)
			}
			if tc.kind == provider.KindThrottled && failure.RetryAfter != 3*time.Second {
				t.Errorf("RetryAfter = %v, want 3s", failure.RetryAfter)
			}
			exist := len(list(t, g))
			if tc.told >= 0 && (told != tc.told || exist != tc.exist) || tc.told < 0 && (told != exist || told > 1) {
				t.Errorf("Increase returned %d and %d exist, want %d and %d", told, exist, tc.told, tc.exist)
			}
		})
	}
}

func TestSlowCallsGiveUpWithTheirContext(t *testing.T) {
	g := newGroup(t, `{}`)
	slow := &InstanceGroup{Dir: g.Dir}
	if err := json.Unmarshal([]byte(`{"slow_call":{"probability":1,"delay":{"distribution":"constant","value":"1h"}}}`), slow); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	patience := 25 * time.Millisecond // doubled until the instance is made before the deadline, also on a busy machine
	eventually(t, "an instance that is made before the caller gives up", func() bool {
		patience *= 2
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if n, err := slow.Increase(ctx, 1); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Increase = %d, %v, want the deadline", n, err)
		}
		if err := slow.Update(ctx, func(string, provider.State) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update = %v, want the deadline", err)
		}
		got := list(t, g)
		if len(got) > 1 {
			t.Errorf("list %v, want one instance", got)
		}
		return len(got) >= 1
	})
}

func TestLyingLists(t *testing.T) {
	t.Parallel()
	g := newGroup(t, `{"list":{"lag":"1h"}}`)
	increase(t, g, 1)
	if got := list(t, g); len(got) != 0 {
		t.Errorf("a lagging list shows %v at once", got)
	}
	vanish(t, g)

	g = newGroup(t, `{"list":{"lag":"400ms"}}`)
	eventually(t, "a list within the lag that still shows a deleted instance", func() bool {
		increase(t, g, 1)
		id := running(t, g, 1)[0]
		if _, err := g.Decrease(t.Context(), []string{id}); err != nil {
			t.Fatal(err)
		}
		if list(t, g)[id] == provider.StateRunning {
			return true
		}
		eventually(t, "the list to be empty", func() bool { return len(list(t, g)) == 0 }) // the machine is busy and the test looked too late: try again
		return false
	})

	g = newGroup(t, `{}`)
	increase(t, g, 4)
	running(t, g, 4)
	bad := &InstanceGroup{Dir: g.Dir}
	if err := json.Unmarshal([]byte(`{"list":{"failure":{"probability":1,"kind":"throttled"},"keep":0.5}}`), bad); err != nil {
		t.Fatal(err)
	}
	if _, err := bad.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := bad.Update(t.Context(), func(string, provider.State) { n++ })
	if n != 2 || provider.KindOf(err) != provider.KindThrottled {
		t.Errorf("a list that ends early shows %d and %v, want 2 and throttled", n, err)
	}
}

func TestConfigFaults(t *testing.T) {
	for _, tc := range []struct {
		config   string
		settings provider.Settings
		want     []string
	}{
		{config: `{"name":"../etc"}`, want: []string{"name: "}},
		{config: `{"boot":{"distribution":"gauss"},"life_limit":"-1s","max_size":-1}`, want: []string{"boot.distribution: ", "life_limit: ", "max_size: "}},
		{config: `{"delete":{"distribution":"constant","value":"soon"}}`, want: []string{`delete.value: "soon" is not a duration: write one such as`}},
		{config: `{"record_dir":"/proc/nothing/here"}`, want: []string{"record_dir: "}},
		{config: `{}`, settings: withConnector(provider.ConnectorConfig{Protocol: provider.ProtocolWinRM}), want: []string{"connector_config.protocol: "}},
		{config: `{}`, settings: withConnector(provider.ConnectorConfig{UseStaticCredentials: true}),
			want: []string{"connector_config.use_static_credentials: "}},
		{config: `{}`, settings: withConnector(provider.ConnectorConfig{Key: []byte("no key")}), want: []string{"connector_config.key_path: "}},
	} {
		g := &InstanceGroup{Dir: filepath.Join(t.TempDir(), "g")}
		if err := json.Unmarshal([]byte(tc.config), g); err != nil {
			t.Fatal(err)
		}
		_, err := g.Init(t.Context(), nil, tc.settings)
		if provider.KindOf(err) != provider.KindConfig {
			t.Errorf("%s: %v, want a config error", tc.config, err)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q, want it to contain %q", tc.config, err, want)
			}
		}
		if exists(g.Dir) {
			t.Errorf("%s: a refused configuration made a folder", tc.config)
		}
	}
}

func withConnector(c provider.ConnectorConfig) provider.Settings {
	return provider.Settings{ConnectorConfig: c}
}

func TestDamagedGroupStateIsAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "group")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"{", `{"version":99}`} {
		if err := os.WriteFile(filepath.Join(dir, groupFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		g := &InstanceGroup{Dir: dir}
		if _, err := g.Init(t.Context(), nil, provider.Settings{}); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want a config error that names the file", content, err)
		}
		if raw, err := os.ReadFile(filepath.Join(dir, groupFile)); err != nil || string(raw) != content {
			t.Errorf("the damaged file was changed to %q, %v", raw, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	g := &InstanceGroup{}
	info, err := g.Init(t.Context(), nil, provider.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(here, ".taskscaler-fake", "fake"); g.Dir != want || info.ID != "fake/"+want || info.MaxSize != 0 {
		t.Errorf("dir %q, info %+v, want %q", g.Dir, info, want)
	}
	increase(t, g, 1)
	emptied(t, g)
	if exists(filepath.Join(here, ".taskscaler-fake")) {
		t.Error("the default folder still exists")
	}
}

// TestListsHaveTheirOwnLuck: each list fails at random, independent of the previous one. So lists do not all fail until the next create.
func TestListsHaveTheirOwnLuck(t *testing.T) {
	t.Parallel()
	g := newGroup(t, `{"boot":{"distribution":"constant","value":"20ms"},"list":{"failure":{"probability":0.5}}}`)
	increase(t, g, 1)
	failed := 0
	const lists = 40
	for range lists {
		if err := g.Update(t.Context(), func(string, provider.State) {}); err != nil {
			failed++
		}
	}
	if failed < lists/8 || failed > lists*7/8 {
		t.Errorf("%d of %d lists failed at a probability of one half", failed, lists)
	}
}
