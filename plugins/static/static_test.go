package static

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/sshdtest"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			return &InstanceGroup{Dir: filepath.Join(t.TempDir(), "state"), Instances: hosts(t, 3)}
		},
		Reopen: func(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			g := old.(*InstanceGroup)
			return &InstanceGroup{Dir: g.Dir, Instances: g.Instances}
		},
	})
}

// TestConformanceWithReset: the same while a reset command on real hosts makes deletes slow.
func TestConformanceWithReset(t *testing.T) {
	t.Parallel()
	login := sshd(t)
	key, err := os.ReadFile(login.KeyPath)
	if err != nil {
		t.Fatal(err)
	}
	var s provider.Settings
	s.Username, s.Key = login.Username, key
	real := map[string]Host{}
	for _, name := range []string{"a", "b", "c"} {
		real[name] = Host{InternalAddr: name, HostKeys: login.HostKeys}
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) { // one server for all: only the login and the reset command count
		return new(net.Dialer).DialContext(ctx, network, login.InternalAddr)
	}
	providertest.Run(t, providertest.Options{
		Settings: s,
		New: func(t *testing.T) provider.InstanceGroup {
			return &InstanceGroup{Dir: filepath.Join(t.TempDir(), "state"), Instances: real, ResetCommand: "true", dial: dial}
		},
		Reopen: func(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			return &InstanceGroup{Dir: old.(*InstanceGroup).Dir, Instances: real, ResetCommand: "true", dial: dial}
		},
	})
}

// TestUses: each use of a host is an instance of its own, and the host that rested for longest comes first.
func TestUses(t *testing.T) {
	g := open(t, &InstanceGroup{Instances: hosts(t, 3)})
	take := func(n int) {
		t.Helper()
		if got, err := g.Increase(t.Context(), n); got != n || err != nil {
			t.Fatalf("%d, %v", got, err)
		}
	}
	give := func(id string) {
		t.Helper()
		if got, err := g.Decrease(t.Context(), []string{id}); !slices.Equal(got, []string{id}) || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	want := func(ids ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(list(t, g))); !slices.Equal(got, ids) {
			t.Fatalf("listed are %q, want %q", got, ids)
		}
	}
	take(2)
	want("h1-1", "h2-1")
	give("h2-1")
	give("h1-1")
	take(1) // h3 was never in use
	want("h3-1")
	take(1)
	want("h2-2", "h3-1")
	give("h2-1") // a late delete of the earlier use
	want("h2-2", "h3-1")
	if _, err := g.ConnectInfo(t.Context(), "h2-1"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("the earlier use: %v", err)
	}
	take(1)
	got, err := g.Increase(t.Context(), 2)
	if got != 0 || provider.KindOf(err) != provider.KindCapacity || !strings.Contains(err.Error(), "the list has 3") {
		t.Errorf("all are in use: %d, %v", got, err)
	}
}

// TestHostsThatDoNotAnswer: they are not taken into use, and the error names one.
func TestHostsThatDoNotAnswer(t *testing.T) {
	m := hosts(t, 1)
	m["a-gone"], m["b-frozen"] = Host{ExternalAddr: closed(t)}, Host{InternalAddr: frozen(t)}
	g := open(t, &InstanceGroup{Instances: m})
	got, err := g.Increase(t.Context(), 3)
	if got != 1 || provider.KindOf(err) != provider.KindCapacity || !strings.Contains(err.Error(), "2 of them do not answer, such as a-gone: ") {
		t.Fatalf("%d, %v", got, err)
	}
	if ids := list(t, g); len(ids) != 1 || ids["h1-1"] != provider.StateRunning {
		t.Errorf("listed: %v", ids)
	}
	if err := g.Heartbeat(t.Context(), "h1-1"); err != nil {
		t.Errorf("the host that answers: %v", err)
	}
	// Without checks they are taken, and the heartbeats say nothing.
	g = open(t, &InstanceGroup{Instances: m, NoCheck: true})
	if got, err := g.Increase(t.Context(), 3); got != 3 || err != nil {
		t.Errorf("without checks: %d, %v", got, err)
	}
	if err := g.Heartbeat(t.Context(), "a-gone-1"); err != nil {
		t.Errorf("without checks: %v", err)
	}
}

// TestHeartbeatOfADeadHost: it is a failure that may pass, because the network may be to blame.
func TestHeartbeatOfADeadHost(t *testing.T) {
	m := map[string]Host{"h": {InternalAddr: closed(t)}}
	g := open(t, &InstanceGroup{Instances: m, NoCheck: true})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g.NoCheck = false
	if err := g.Heartbeat(t.Context(), "h-1"); provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), "host h: ") {
		t.Errorf("%v", err)
	}
	if err := g.Heartbeat(t.Context(), "h-2"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("an unknown instance: %v", err)
	}
}

// TestConnectInfoOfAHost: what is set for a host wins over connector_config, which fills the rest.
func TestConnectInfoOfAHost(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("own key"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &InstanceGroup{Dir: t.TempDir(), NoCheck: true, Instances: map[string]Host{
		"own":   {InternalAddr: "10.0.0.1", Username: "u", Password: secret.New("p"), KeyPath: key, Timeout: duration{provider.Duration(time.Minute)}, OS: "windows", Protocol: "winrm+https", HostKeys: []string{"x509-sha256 " + strings.Repeat("ab", 32)}},
		"plain": {ExternalAddr: "build.example.com:2222"},
	}}
	var s provider.Settings
	s.Username, s.Password, s.Key, s.Timeout, s.OS, s.Protocol, s.ProtocolPort = "ci", "pw", []byte("key"), time.Hour, "linux", provider.ProtocolSSH, 23
	if _, err := g.Init(t.Context(), nil, s); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Increase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	info, err := g.ConnectInfo(t.Context(), "own-1")
	if err != nil || info.Username != "u" || info.Password != "p" || string(info.Key) != "own key" || info.Timeout != time.Minute || info.OS != "windows" ||
		info.Protocol != provider.ProtocolWinRMHTTPS || len(info.HostKeys) != 1 || info.InternalAddr != "10.0.0.1" || info.ID != "own-1" {
		t.Errorf("%v, %v", info, err)
	}
	info, err = g.ConnectInfo(t.Context(), "plain-1")
	if err != nil || info.Username != "ci" || info.Password != "pw" || string(info.Key) != "key" || info.Timeout != time.Hour || info.OS != "linux" ||
		info.Protocol != provider.ProtocolSSH || info.ExternalAddr != "build.example.com:2222" || len(info.HostKeys) != 0 {
		t.Errorf("%v, %v", info, err)
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		info     provider.ConnectInfo
		external bool
		want     string
	}{
		{provider.ConnectInfo{InternalAddr: "a", ExternalAddr: "b"}, false, "a:22"},
		{provider.ConnectInfo{InternalAddr: "a", ExternalAddr: "b"}, true, "b:22"},
		{provider.ConnectInfo{InternalAddr: "a"}, true, "a:22"},
		{provider.ConnectInfo{InternalAddr: "a:2222"}, false, "a:2222"},
		{provider.ConnectInfo{InternalAddr: "a:0"}, false, "a:22"},
		{provider.ConnectInfo{InternalAddr: "::1"}, false, "[::1]:22"},
		{provider.ConnectInfo{InternalAddr: "[::1]"}, false, "[::1]:22"},
		{provider.ConnectInfo{InternalAddr: "[::1]:23"}, false, "[::1]:23"},
		{provider.ConnectInfo{InternalAddr: "a", ConnectorConfig: provider.ConnectorConfig{OS: "Windows"}}, false, "a:5985"},
		{provider.ConnectInfo{InternalAddr: "a", ConnectorConfig: provider.ConnectorConfig{Protocol: provider.ProtocolWinRMHTTPS}}, false, "a:5986"},
		{provider.ConnectInfo{InternalAddr: "a", ConnectorConfig: provider.ConnectorConfig{ProtocolPort: 99}}, false, "a:99"},
	} {
		g := &InstanceGroup{UseExternalAddr: c.external}
		if got := g.address(&c.info); got != c.want {
			t.Errorf("%v: %s, want %s", c.info, got, c.want)
		}
	}
}

// TestReset: a host is free again when its reset command has succeeded, and what the command said is in the error until then.
func TestReset(t *testing.T) {
	h := sshd(t)
	gate := filepath.Join(t.TempDir(), "gate")
	g := open(t, &InstanceGroup{Instances: map[string]Host{"h": h}, ResetCommand: "test -e " + gate + " || { echo the disk is full >&2; exit 3; }"})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got, err := g.Decrease(t.Context(), []string{"h-1"}); len(got) != 1 || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	var failed error
	until(t, "the reset fails", func() bool {
		got, err := g.Decrease(t.Context(), []string{"h-1"})
		failed = err
		return err != nil && len(got) == 0
	})
	if provider.KindOf(failed) != provider.KindTransient || !strings.Contains(failed.Error(), "host h is not free: reset_command: ") || !strings.Contains(failed.Error(), "the disk is full") {
		t.Errorf("%v", failed)
	}
	if got := list(t, g); got["h-1"] != provider.StateDeleting || len(got) != 1 {
		t.Errorf("listed: %v", got)
	}
	if got, err := g.Increase(t.Context(), 1); got != 0 || !strings.Contains(err.Error(), "1 of them are being reset") {
		t.Errorf("%d, %v", got, err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Another process goes on with it, at once.
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := open(t, &InstanceGroup{Dir: g.Dir, Instances: g.Instances, ResetCommand: g.ResetCommand})
	until(t, "the host is free", func() bool { return len(list(t, next)) == 0 })
	if got, err := next.Increase(t.Context(), 1); got != 1 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if got := list(t, next); got["h-2"] != provider.StateRunning {
		t.Errorf("listed: %v", got)
	}
}

// TestResetThatIsNotStored: the reset succeeded, and that could not be stored. It is repeated by and by, and no second one begins beside it: that one could
// free the host, and the first would reset it while the next job uses it.
func TestResetThatIsNotStored(t *testing.T) {
	h, dir := sshd(t), filepath.Join(t.TempDir(), "state")
	file, aside, again := filepath.Join(dir, stateFile), filepath.Join(dir, "aside"), filepath.Join(dir, "again")
	g := open(t, &InstanceGroup{Dir: dir, Instances: map[string]Host{"h": h}, ResetCommand: fmt.Sprintf( // the first reset makes the state unreadable
		"if test -e %s; then until test -e %s; do sleep 0.1; done; else mv %s %s; mkdir %s; fi", aside, again, file, aside, file)})
	t.Cleanup(func() { _ = os.WriteFile(again, nil, 0o600) })
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Decrease(t.Context(), []string{"h-1"}); err != nil {
		t.Fatal(err)
	}
	running := func() *reset {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.resets["h-1"]
	}
	only := running()
	until(t, "the end of the reset cannot be stored", func() bool { return only.latest() != nil })
	raw, err := os.ReadFile(aside)
	if err == nil {
		err = errors.Join(os.Remove(file), os.WriteFile(file, raw, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, g); got["h-1"] != provider.StateDeleting || running() != only {
		t.Errorf("listed: %v, and a second reset runs: %v", got, running() != only)
	}
}

// TestInitDisturbsNothing: the second process of a reload starts no reset.
func TestInitDisturbsNothing(t *testing.T) {
	h := sshd(t)
	mark := filepath.Join(t.TempDir(), "mark")
	g := open(t, &InstanceGroup{Instances: map[string]Host{"h": h}, ResetCommand: "sleep 60"})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Decrease(t.Context(), []string{"h-1"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(g.Dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, &InstanceGroup{Dir: g.Dir, Instances: g.Instances, ResetCommand: "touch " + mark})
	if len(second.resets) != 0 {
		t.Error("it began a reset")
	}
	if err := second.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(g.Dir, stateFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("the state changed: %s, %v", after, err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the reset command ran")
	}
}

// TestResetOfAnUnknownHostKey: the operator's password for all hosts is not sent to a host whose key is not known.
func TestResetOfAnUnknownHostKey(t *testing.T) {
	h := sshd(t)
	h.HostKeys = nil // it is accepted, because the login uses a key
	g := open(t, &InstanceGroup{Instances: map[string]Host{"h": h}, ResetCommand: "true"})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Decrease(t.Context(), []string{"h-1"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the host is free", func() bool { return len(list(t, g)) == 0 })
	_, other, err := sshdtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	h.HostKeys = []string{other}
	g = open(t, &InstanceGroup{Instances: map[string]Host{"h": h}, ResetCommand: "true"})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "another key is refused", func() bool {
		_, err := g.Decrease(t.Context(), []string{"h-1"})
		return err != nil && strings.Contains(err.Error(), "host key")
	})
}

// TestHostsFile: hosts come and go while the plugin runs. One that is in use when it leaves the list stays until its use ends.
func TestHostsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b, c := greeter(t), greeter(t), greeter(t)
	write("[a]\ninternal_addr = '" + a + "'\n")
	g := open(t, &InstanceGroup{InstancesFile: file})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	write("[b]\ninternal_addr = '" + b + "'\npassword = 'hunter2-hunter2'\ntimeout = '90s'\n[c]\nexternal_addr = '" + c + "'\n")
	if info, err := g.Describe(t.Context()); info.MaxSize != 2 || err != nil || info.ID != "static/static" {
		t.Errorf("%+v, %v", info, err)
	}
	if got := list(t, g); len(got) != 1 || got["a-1"] != provider.StateRunning {
		t.Errorf("listed: %v", got)
	}
	if info, err := g.ConnectInfo(t.Context(), "a-1"); err != nil || info.InternalAddr != a {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if info, err := g.ConnectInfo(t.Context(), "b-1"); err != nil || info.Timeout != 90*time.Second || info.Password != "hunter2-hunter2" {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := g.Decrease(t.Context(), []string{"a-1"}); err != nil {
		t.Fatal(err)
	}
	// A file with a fault changes nothing, and stops creates.
	write("[b]\ninternal_adr = 'x'\n")
	if got := list(t, g); len(got) != 1 || got["b-1"] != provider.StateRunning {
		t.Errorf("listed: %v", got)
	}
	if got, err := g.Increase(t.Context(), 1); got != 0 || provider.KindOf(err) != provider.KindConfig ||
		!strings.Contains(err.Error(), `line 2: unknown key "b.internal_adr"`) || !strings.Contains(err.Error(), "internal_addr") {
		t.Errorf("%d, %v", got, err)
	}
	write("[c]\nexternal_addr = '" + c + "'\n")
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(list(t, g))); !slices.Equal(got, []string{"b-1", "c-1"}) {
		t.Errorf("listed: %q", got)
	}
}

// TestFaultsOfTheConfiguration: all of them at once, each with its key and what to do.
func TestFaultsOfTheConfiguration(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open.toml")
	if err := os.WriteFile(open, []byte("[a]\ninternal_addr = 'a'\npassword = 'hunter2-hunter2'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	file := func(text string) *InstanceGroup {
		path := filepath.Join(t.TempDir(), "hosts.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return &InstanceGroup{InstancesFile: path}
	}
	for name, c := range map[string]struct {
		group *InstanceGroup
		want  []string
	}{
		"half a file":   {file("[a]\ninternal_addr = 'a'\n[b]\ninternal_ad"), []string{"hosts.toml: line 4: expected", "correct this file", "rename it"}},
		"a host twice":  {file("[a]\ninternal_addr = 'a'\n[a]\n"), []string{"hosts.toml: line 3: table a already exists"}},
		"a list":        {file("[[a]]\ninternal_addr = 'a'\n"), []string{"hosts.toml: line 1: each host is a table of its own: write [NAME], not [[NAME]]"}},
		"no table":      {file("a = 'a'\n"), []string{"line 1: a has the wrong type: a host is a table such as [build1]"}},
		"a number":      {file("[a]\ninternal_addr = 5\n"), []string{"line 2: a.internal_addr has the wrong type"}},
		"seconds":       {file("[a]\ninternal_addr = 'a'\ntimeout = 90\n"), []string{`"90" is not a duration: write a string such as "90s"`}}, // it was 90 nanoseconds once
		"no duration":   {file("[a]\ninternal_addr = 'a'\ntimeout = 'soon'\n"), []string{"line 3", `"soon" is not a duration`}},
		"negative":      {file("[a]\ninternal_addr = 'a'\ntimeout = '-1s'\n"), []string{"a: timeout: must not be negative, is -1s"}},
		"negative too":  {&InstanceGroup{ResetTimeout: duration{-1}, Instances: map[string]Host{"a": {InternalAddr: "a"}}}, []string{"reset_timeout: must not be negative"}},
		"an empty file": {file(""), []string{"hosts.toml has no host: write a table for each"}},
		"no key":        {&InstanceGroup{Instances: map[string]Host{"a": {InternalAddr: "a", KeyPath: open}}}, []string{"instances: a: key_path: " + open + ": "}},
		"nothing":       {&InstanceGroup{}, []string{"write the hosts into instances, or set instances_file"}},
		"both":          {&InstanceGroup{Instances: map[string]Host{"a": {InternalAddr: "a"}}, InstancesFile: "f"}, []string{"and not both"}},
		"a name":        {&InstanceGroup{Name: "a/b", Instances: map[string]Host{"a": {InternalAddr: "a"}}}, []string{`name: "a/b" is not a valid name`}},
		"no file":       {&InstanceGroup{InstancesFile: "/nowhere/hosts.toml"}, []string{"instances_file: open /nowhere/hosts.toml"}},
		"a folder":      {&InstanceGroup{InstancesFile: t.TempDir()}, []string{"is not a regular file"}},
		"open file":     {&InstanceGroup{InstancesFile: open}, []string{"which has passwords: chmod o-r"}},
		"hosts": {&InstanceGroup{Instances: map[string]Host{
			"a b": {InternalAddr: "a"}, "c": {}, "d": {InternalAddr: "a b", ExternalAddr: "x:99999"}, "e": {InternalAddr: "ssh://e", Protocol: "telnet"},
			"f": {InternalAddr: "f", KeyPath: "/nowhere/key"}, "g": {InternalAddr: "::1", ExternalAddr: "[::1]:22"},
		}}, []string{`"a b" is not a valid name of a host`, "instances: c: set internal_addr or external_addr", `d: internal_addr: "a b" is not an address`,
			`d: external_addr: "x:99999" has no valid port`, `e: internal_addr: "ssh://e"`, `protocol: "telnet" is not known`, "f: key_path: open /nowhere/key: no such file or directory: correct the path"}},
	} {
		g := c.group
		g.Dir = t.TempDir()
		_, err := g.Init(t.Context(), nil, provider.Settings{})
		if provider.KindOf(err) != provider.KindConfig {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %q", name, want, err)
			}
		}
		if strings.Contains(err.Error(), "instances: g: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q", name, err)
		}
		if err := g.Shutdown(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDurationsOfPluginConfig: they are texts or numbers of seconds.
func TestDurationsOfPluginConfig(t *testing.T) {
	var g InstanceGroup
	config := `{"reset_timeout": 90, "instances": {"a": {"internal_addr": "a", "timeout": "2m"}}}`
	if err := plugin.Configure(&g, []byte(config)); err != nil || g.ResetTimeout.Std() != 90*time.Second || g.Instances["a"].Timeout.Std() != 2*time.Minute {
		t.Errorf("%v, %+v", err, &g)
	}
	err := plugin.Configure(&g, []byte(`{"instances": {"a": {"timeout": "soon"}}}`))
	if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "timeout must be a duration") {
		t.Errorf("a text that is none: %v", err)
	}
}

// TestDamagedState: a state that cannot be read is not replaced by an empty one, because hosts in use would be given to other jobs.
func TestDamagedState(t *testing.T) {
	for _, text := range []string{"{", "[]", `{"uses":{"a":null}}`, `{"uses":{"a":{"number":0}}}`} {
		dir := t.TempDir()
		path := filepath.Join(dir, stateFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g := &InstanceGroup{Dir: dir, Instances: map[string]Host{"a": {InternalAddr: "a"}}}
		if _, err := g.Init(t.Context(), nil, provider.Settings{}); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), path+" is damaged") || !strings.Contains(err.Error(), "correct this file") {
			t.Errorf("%s: %v", text, err)
		}
		if b, err := os.ReadFile(path); string(b) != text || err != nil {
			t.Errorf("%s became %s, %v", text, b, err)
		}
		g.end()
	}
}

// TestTwoProcesses: no host is taken into use twice, whatever runs at the same time.
func TestTwoProcesses(t *testing.T) {
	const n = 8
	m := hosts(t, n)
	first := open(t, &InstanceGroup{Instances: m})
	second := open(t, &InstanceGroup{Dir: first.Dir, Instances: m})
	got := make(chan int)
	for i := range n {
		g := first
		if i%2 == 0 {
			g = second
		}
		go func() {
			k, err := g.Increase(context.Background(), 2)
			if err != nil && provider.KindOf(err) != provider.KindCapacity {
				t.Error(err)
			}
			got <- k
		}()
	}
	sum := 0
	for range n {
		sum += <-got
	}
	if ids := list(t, first); len(ids) != sum || sum != n {
		t.Errorf("%d were accepted, and %d are listed: %v", sum, len(ids), ids)
	}
}

// TestLockIsHeld: a call ends with its context while another process holds the lock.
func TestLockIsHeld(t *testing.T) {
	g := open(t, &InstanceGroup{Instances: hosts(t, 1)})
	f, err := g.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.Update(ctx, func(string, provider.State) {}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
}
