package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Both run and exec refuse every bad input, with a message that says what to do.
func bothRefuse(w *world, words ...string) {
	w.t.Helper()
	w.start("run", "--config", w.config).refused(1, words...)
	w.start("exec", "--config", w.config, "--", "true").refused(125, words...)
}

func TestMissingPlugin(t *testing.T) {
	w := newWorld(t, strings.Replace(settings{}.String(), `plugin = "fake"`, `plugin = "nosuch"`, 1))
	bothRefuse(w, "nosuch", "is not installed", bin, "installed: fake", "docs/plugins.md")
	onlyTheConfig(t, w)
}

// script makes an executable of that name in a plugin folder of this world. The commands look for plugins in that folder.
func (w *world) script(name, text string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "plugins")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.t.Setenv("TASKSCALER_PLUGIN_PATH", dir)
}

func TestPluginThatIsNone(t *testing.T) {
	w := newWorld(t, strings.Replace(settings{}.String(), `plugin = "fake"`, `plugin = "none"`, 1))
	w.script("fleeting-plugin-none", "#!/bin/sh\necho hello\n")
	bothRefuse(w, "fleeting-plugin-none", "is not a taskscaler plugin", "correct `plugin`")
	if exists(filepath.Join(w.dir, ".taskscaler")) {
		t.Error("a state directory is left")
	}
}

// TestPluginThatDiesAtInit uses a real plugin whose process ends when Init is called.
func TestPluginThatDiesAtInit(t *testing.T) {
	w := newWorld(t, settings{}.String())
	w.build("fleeting-plugin-dies")
	bothRefuse(w, `runner "e2e"`, "fleeting-plugin-dies", "out of luck")
	if exists(filepath.Join(w.dir, ".taskscaler")) {
		t.Error("a state directory is left")
	}
}

// build builds dyingplugin under a name, and writes its path into the configuration.
func (w *world) build(name string) {
	w.t.Helper()
	path := filepath.Join(w.dir, "plugins", name)
	build := exec.Command("go", "build", "-o", path, "./dyingplugin")
	if out, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("building the plugin: %v\n%s", err, out)
	}
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.config, bytes.Replace(text, []byte(`plugin = "fake"`), fmt.Appendf(nil, "plugin = %q", path), 1), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// TestPluginWhoseInitWaits: while Init runs, the status says so, jobs wait, and SIGTERM ends the manager at once.
func TestPluginWhoseInitWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	w.build("fleeting-plugin-waits")
	m := w.start("run", "--config", w.config)
	w.eventually("the status says that it starts", func() (bool, string) {
		s, err := w.status()
		return err == nil && len(s.Runners) == 1 && s.Runners[0].Starting && s.Runners[0].Fleet == nil, fmt.Sprint(err, s)
	})
	w.contains(w.prints("status"), "starting: the manager waits for the plugin")
	for path, want := range map[string]string{"/healthz": "200 ok", "/readyz": "503 the manager is starting"} {
		if got := w.get(path); !strings.HasPrefix(got, want[:3]) || !strings.Contains(got, want[4:]) {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
	job := w.exec("early", "true")
	m.drained()
	if code := job.wait(); code != 125 { // it waited for the start, or came when the manager had ended
		t.Errorf("the exit code of a job is %d: %s", code, job.stderr.String())
	}
	if exists(filepath.Join(w.dir, ".taskscaler")) {
		t.Error("a state directory is left")
	}
}

// get asks the manager like curl --unix-socket, and returns the code and the body of the answer.
func (w *world) get(path string) string {
	w.t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(w.dir, "taskscaler", "control.sock"))
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: hang}
	answer, err := client.Get("http://taskscaler" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(body))
}

// TestInitTimeout: call_timeouts.init ends an Init, and the message names the key.
func TestInitTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "[runners.autoscaler.call_timeouts]\ninit = \"500ms\""}.String())
	w.build("fleeting-plugin-waits")
	bothRefuse(w, "call_timeouts.init")
}

func TestPluginThatRefusesItsConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{plugin: `colour = "red"`}.String())
	bothRefuse(w, "colour", "plugin_config")
	onlyTheConfig(t, w)
}

func TestConfigThatIsNoTOML(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "[[runners]\nname = \"x\"\n")
	bothRefuse(w, "config.toml:1", "not valid TOML")
	w.start("validate", w.config).expectContains(1, "config.toml:1", "not valid TOML", "1 fault")
}

func TestConfigWithFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = -1\nmax_use_cuont = 3"}.String())
	bothRefuse(w, "max_instances", "cannot be negative", `did you mean "max_use_count"?`)
	w.start("validate", w.config).expectContains(1, "max_instances", "max_use_cuont", "2 faults")
	onlyTheConfig(t, w)
}

func TestConfigThatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start("run", "--config", "nowhere.toml").refused(1, "nowhere.toml", "no such file")
	w.start("validate", "nowhere.toml").expectContains(1, "fault: nowhere.toml: cannot be read", "1 fault")
}

// expectContains checks the exit code and the standard output of a process that has ended.
func (p *process) expectContains(code int, words ...string) {
	p.w.t.Helper()
	if got := p.wait(); got != code {
		p.w.t.Errorf("%s: exit code %d, not %d; stderr:\n%s", p.name, got, code, tail(p.stderr.String()))
	}
	for _, word := range words {
		if !strings.Contains(p.stdout.String(), word) {
			p.w.t.Errorf("%s: stdout does not say %q:\n%s", p.name, word, p.stdout.String())
		}
	}
}

func TestSocketInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	m := w.manager()
	w.start("run", "--config", w.config).refused(1, "control.sock", "in use", fmt.Sprintf("pid %d", m.cmd.Process.Pid), "--socket")
	w.exec("still", "echo works").expect(0, "works\n")
	m.drained()
}

func TestSecondManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	m := w.manager()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"in use by another manager", fmt.Sprintf("process %d (taskscaler run) on %s", m.cmd.Process.Pid, host), "stop that one"}
	w.start("run", "--config", w.config, "--socket", filepath.Join(w.dir, "other.sock")).refused(1, words...)
	w.start("exec", "--config", w.config, "--", "true").refused(125, words...)
	w.exec("still", "echo works").expect(0, "works\n")
	m.drained()
}

func TestNoManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	w.start("exec", "--", "true").refused(125, "no manager is running", "taskscaler run")
	w.start("status").refused(1, "no manager is running", "taskscaler run")
	w.start("drain").refused(1, "no manager is running", "taskscaler run")
}

// stateFile returns the state file of a manager that has ended and kept its instance.
func stateFile(t *testing.T, w *world) string {
	t.Helper()
	m := w.manager()
	w.exec("first", "true").expect(0, "")
	m.drained()
	found, err := filepath.Glob(filepath.Join(w.dir, ".taskscaler", "*", "state.db"))
	if err != nil || len(found) != 1 {
		t.Fatalf("state files %q, %v", found, err)
	}
	return found[0]
}

// refusedUntouched checks that neither run nor exec starts, that the file is not modified, and that the instance is alive.
func refusedUntouched(t *testing.T, w *world, file string, words ...string) {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bothRefuse(w, append(words, file)...)
	after, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the state file was changed: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, ".taskscaler-fake", "fake", "*-1")); len(left) != 1 {
		t.Errorf("the instance is gone: %q", left)
	}
}

func TestCorruptState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	file := stateFile(t, w)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 16384; i++ { // both meta pages, and data after them
		text[i] ^= 0xa5
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	refusedUntouched(t, w, file, "damaged", "backup")
	copies, err := filepath.Glob(file + "*")
	if err != nil || len(copies) < 2 {
		t.Errorf("no copy of the damaged file: %q, %v", copies, err)
	}
}

func TestStateOfANewerVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	file := stateFile(t, w)
	raiseFormat(t, file)
	refusedUntouched(t, w, file, "newer release", "run that release or a later one")
}

// raiseFormat makes the file look like one of a later release: the record "format" has an unknown version and a correct checksum. A
// record is version, kind, checksum (CRC-32C, little endian), payload; the checksum is over version, kind, the key's length, key and payload.
func raiseFormat(t *testing.T, file string) {
	t.Helper()
	db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, key := tx.Bucket([]byte("meta")), []byte("format")
		if meta == nil || len(meta.Get(key)) < 6 {
			return errors.New("the file has no record of its format")
		}
		record := bytes.Clone(meta.Get(key))
		record[0] = 99
		summed := append(binary.LittleEndian.AppendUint64([]byte{record[0], record[1]}, uint64(len(key))), key...)
		binary.LittleEndian.PutUint32(record[2:], crc32.Checksum(append(summed, record[6:]...), crc32.MakeTable(crc32.Castagnoli)))
		return meta.Put(key, record)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestStateOfAnotherGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	stateFile(t, w)
	w.write("config.toml", settings{plugin: `name = "other"`}.String())
	w.start("run", "--config", w.config).refused(1, "belongs to group", "state directory of its own")
	if left, _ := filepath.Glob(filepath.Join(w.dir, ".taskscaler-fake", "fake", "*-1")); len(left) != 1 {
		t.Errorf("the instance is gone: %q", left)
	}
}

// TestPrivateExecBesideAFleet: a private manager does not delete the fleet of a manager that is not running.
func TestPrivateExecBesideAFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	file := stateFile(t, w)
	w.start("exec", "--config", w.config, "--", "true").refused(125, "1 instance,", "taskscaler run", filepath.Dir(file))
	m := w.manager()
	if created := w.created(); created != 1 {
		t.Errorf("%d instances were created, not 1", created)
	}
	w.exec("second", "echo $TASKSCALER_USE").expect(0, "2\n")
	m.drained()
}

func TestVMIsolationIsRefused(t *testing.T) {
	t.Parallel()
	isolated := settings{autoscaler: "[runners.autoscaler.vm_isolation]\nenabled = true\nnesting_host = \"x\""}.String()
	w := newWorld(t, isolated)
	bothRefuse(w, "e2e", "vm_isolation", "nested machines are not supported yet")
	other := strings.Replace(settings{plugin: `name = "two"`}.String(), `name = "e2e"`, `name = "two"`, 1)
	w.write("config.toml", isolated+other[strings.Index(other, "[[runners]]"):])
	m := w.start("run", "--config", w.config)
	w.eventually("the other runner runs", func() (bool, string) {
		p := w.start("exec", "--runner", "two", "--", "echo", "fine")
		return p.wait() == 0 && p.stdout.String() == "fine\n", p.stderr.String()
	})
	w.start("exec", "--runner", "e2e", "--", "true").refused(125, "vm_isolation")
	m.drained()
}

// TestPlainBasicIsRefused: a password that everybody in the network could read is no setting of an oversight.
func TestPlainBasicIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "[runners.autoscaler.connector_config]\nos = \"windows\"\nwinrm_auth = \"basic\""}.String())
	w.start("run", "--config", w.config).refused(1, "winrm_auth", "shows the password to the network", "winrm+https")
	onlyTheConfig(t, w)
}

func TestTwoRunnersOnOneGroup(t *testing.T) {
	t.Parallel()
	one := settings{}.String()
	two := strings.Replace(one, `name = "e2e"`, `name = "two"`, 1)
	w := newWorld(t, one+two[strings.Index(two, "[[runners]]"):])
	w.start("run", "--config", w.config).refused(1, `"e2e"`, `"two"`, "same provider group")
	w.write("config.toml", one+one[strings.Index(one, "[[runners]]"):]) // of one name too: then their state directory is the same
	w.start("run", "--config", w.config).refused(1, "runner 1 of the file", "runner 2", "same provider group")
	onlyTheConfig(t, w)
}

// TestTwoRunnersOfOneName: two runners may have the same name if they have different provider groups; --runner then takes the position.
func TestTwoRunnersOfOneName(t *testing.T) {
	t.Parallel()
	one := settings{autoscaler: deleting}.String()
	two := settings{autoscaler: deleting, plugin: `name = "two"`}.String()
	w := newWorld(t, one+two[strings.Index(two, "[[runners]]"):])
	m := w.start("run", "--config", w.config)
	for _, position := range []string{"1", "2"} {
		w.eventually("runner "+position+" runs", func() (bool, string) {
			p := w.start("exec", "--runner", position, "--", "sh", "-c", "echo $TASKSCALER_INSTANCE")
			group := map[string]string{"1": "fake-", "2": "two-"}[position]
			return p.wait() == 0 && strings.HasPrefix(p.stdout.String(), group), p.stdout.String() + p.stderr.String()
		})
	}
	w.start("exec", "--", "true").refused(125, "--runner")
	w.start("exec", "--runner", "e2e", "--", "true").refused(125, "2 runners have it")
	status, err := w.client().Status(t.Context(), "")
	if err != nil || len(status.Runners) != 2 || status.Runners[0].Identity == status.Runners[1].Identity {
		t.Errorf("%+v, %v", status, err)
	}
	m.drained()
	w.empty()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	w.start("run").refused(2, "config")
	w.start("fly").refused(2, "fly")
	w.start("exec").refused(125)
	w.start("exec", "--colour", "--", "true").refused(125, "--colour")
	w.start("run", "--config", w.config, "--runner", "nobody").refused(1, "nobody", "e2e")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		w.start("completion", shell).expectContains(0, "taskscaler")
	}
	w.start("version").expectContains(0, "taskscaler")
	if _, err := exec.LookPath("bash"); err != nil {
		t.Log("bash is not installed: its completion was not tested")
		return
	}
	out, err := exec.Command("bash", "-c", fmt.Sprintf("source <(%s/taskscaler completion bash) && complete -p taskscaler", bin)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "taskscaler") {
		t.Errorf("bash cannot run the completion script: %v\n%s", err, out)
	}
}
