package fake

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
	"golang.org/x/crypto/ssh"
)

// TestMain lets the test binary run as an instance too, as the binary of the plugin does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Subcommand {
		os.Exit(InstanceMain(os.Args[2:]))
	}
	// The race detector delays the end of every process by a second, and these tests start hundreds of instances.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	leakcheck.Main(m)
}

// hang limits every wait of these tests. Only a hang reaches it: a busy machine needs far less.
const hang = 2 * time.Minute

// newGroup returns a group with the given plugin_config in a new folder. The end of the test deletes its instances and checks that no process
// and no folder is left.
func newGroup(t *testing.T, config string) *InstanceGroup {
	t.Helper()
	return newGroupIn(t, filepath.Join(t.TempDir(), "made", "group"), config, provider.Settings{})
}

func newGroupIn(t *testing.T, dir, config string, settings provider.Settings) *InstanceGroup {
	t.Helper()
	g := &InstanceGroup{Dir: dir}
	if err := json.Unmarshal([]byte(config), g); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Init(t.Context(), hclog.NewNullLogger(), settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { emptied(t, g) })
	return g
}

func emptied(t *testing.T, g *InstanceGroup) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	eventually(t, "the group to be empty", func() bool {
		var ids []string
		if err := g.Update(ctx, func(id string, _ provider.State) { ids = append(ids, id) }); err == nil && len(ids) == 0 {
			return true
		}
		_, _ = g.Decrease(ctx, ids)
		return false
	})
	if err := g.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(g.Dir)); filepath.Base(filepath.Dir(g.Dir)) == "made" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the parent folder, which was made for the group, still exists (%v)", err)
	}
	if left := processesOf(g.Dir); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
}

// processesOf returns the command lines of instances and commands that belong to the group.
func processesOf(dir string) []string {
	var found []string
	stats, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range stats {
		line, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(p, "environ"))
		if strings.Contains(string(line), "\x00"+dir+"/") || strings.Contains(string(env), markVariable+"="+dir+"/") {
			found = append(found, filepath.Base(p)+": "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// eventually polls until the condition holds. what describes the condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %v for %s", hang, what)
}

// vanish removes the folder of the group. Its instances end at once, even if the model has slow deletions.
func vanish(t *testing.T, g *InstanceGroup) {
	t.Helper()
	if err := os.RemoveAll(g.Dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all processes to leave", func() bool { return len(processesOf(g.Dir)) == 0 })
	_ = os.Remove(filepath.Dir(g.Dir)) // the group does the same
}

func list(t *testing.T, g *InstanceGroup) map[string]provider.State {
	t.Helper()
	all := map[string]provider.State{}
	if err := g.Update(t.Context(), func(id string, s provider.State) {
		if _, twice := all[id]; twice {
			t.Errorf("%s is listed twice", id)
		}
		all[id] = s
	}); err != nil {
		t.Fatalf("Update: %v", err)
	}
	return all
}

func increase(t *testing.T, g *InstanceGroup, n int) {
	t.Helper()
	if made, err := g.Increase(t.Context(), n); made != n || err != nil {
		t.Fatalf("Increase(%d) = %d, %v", n, made, err)
	}
}

// running waits until exactly n instances run and returns their ids in order.
func running(t *testing.T, g *InstanceGroup, n int) []string {
	t.Helper()
	var ids []string
	eventually(t, "instances to run", func() bool {
		ids = ids[:0]
		for id, s := range list(t, g) {
			if s == provider.StateRunning {
				ids = append(ids, id)
			}
		}
		return len(ids) == n
	})
	return ids
}

func connectInfo(t *testing.T, g *InstanceGroup, id string) provider.ConnectInfo {
	t.Helper()
	info, err := g.ConnectInfo(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// dial logs in as a manager does.
func dial(t *testing.T, info provider.ConnectInfo) *ssh.Client {
	t.Helper()
	config := &ssh.ClientConfig{User: info.Username, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: hang}
	if info.Password != "" {
		config.Auth = append(config.Auth, ssh.Password(info.Password))
	}
	if len(info.Key) > 0 {
		signer, err := ssh.ParsePrivateKey(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	c, err := ssh.Dial("tcp", info.ExternalAddr, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// oneInstance makes a group with one instance and logs in.
func oneInstance(t *testing.T, config string) (*InstanceGroup, string, *ssh.Client) {
	t.Helper()
	g := newGroup(t, config)
	increase(t, g, 1)
	id := running(t, g, 1)[0]
	return g, id, dial(t, connectInfo(t, g, id))
}

func run(t *testing.T, c *ssh.Client, line string) string {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Output(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(out)
}

func TestLifeOfAGroup(t *testing.T) {
	records := t.TempDir()
	g := newGroup(t, `{"record_dir":"`+records+`","boot":{"distribution":"constant","value":"50ms"}}`)
	if got := list(t, g); len(got) != 0 {
		t.Fatalf("a new group lists %v", got)
	}
	increase(t, g, 3)
	if got := list(t, g); len(got) != 3 {
		t.Fatalf("after Increase(3) the list is %v", got)
	}
	ids := running(t, g, 3)
	c := dial(t, connectInfo(t, g, ids[0]))
	if got := run(t, c, "echo hello"); got != "hello\n" {
		t.Errorf("output %q, want hello", got)
	}
	done, err := g.Decrease(t.Context(), append(ids, "nobody"))
	if len(done) != 4 || err != nil {
		t.Fatalf("Decrease = %v, %v, want all accepted, including the unknown one", done, err)
	}
	eventually(t, "the list to be empty", func() bool { return len(list(t, g)) == 0 })
	if left := processesOf(g.Dir); len(left) > 0 {
		t.Errorf("no instance is listed, but processes are left: %q", left)
	}
	entries, err := record.ReadDir(records)
	if err != nil {
		t.Fatal(err)
	}
	count := map[record.Event]int{}
	for _, e := range entries {
		count[e.Event]++
	}
	for _, e := range []record.Event{record.Created, record.Booted, record.Deleting, record.Deleted} {
		if count[e] != 3 {
			t.Errorf("%d records of %q, want 3", count[e], e)
		}
	}
	if runs := record.Commands(entries); len(runs) != 1 || runs[0].Command != "echo hello" || runs[0].ExitCode == nil || *runs[0].ExitCode != 0 {
		t.Errorf("recorded commands: %+v", runs)
	}
}

func TestKilledInstanceIsReportedGone(t *testing.T) {
	records := t.TempDir()
	g, id, c := oneInstance(t, `{"record_dir":"`+records+`"}`)
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	// One process is in the process group of the command, the other one has left it. Both must end with the instance.
	if err := s.Start("setsid sleep 1000 & exec sleep 1000"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both commands to run", func() bool { return len(processesOf(g.Dir)) == 3 })
	_, pid := g.machines[id].alive()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the list to be empty", func() bool { return len(list(t, g)) == 0 })
	if left := processesOf(g.Dir); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	entries, err := record.ReadDir(records)
	if err != nil || len(entries) == 0 || entries[len(entries)-1].Event != record.Died {
		t.Errorf("records %+v, %v, want the last to be %q", entries, err, record.Died)
	}
	if len(record.Alive(entries)) != 0 {
		t.Errorf("alive according to the records: %v", record.Alive(entries))
	}
}
