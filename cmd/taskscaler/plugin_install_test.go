package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// startRegistry starts Debian's docker-registry (CNCF Distribution) on the loopback interface. It returns its address and the folder of its data.
func startRegistry(t *testing.T) (addr, data string) {
	t.Helper()
	binary, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("there is no registry; to run this test: apt-get install docker-registry")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, data = l.Addr().String(), t.TempDir()
	_ = l.Close()
	config := filepath.Join(t.TempDir(), "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", data, addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", config)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + addr + "/v2/"); err == nil {
			_ = resp.Body.Close()
			return addr, data
		}
		if time.Now().After(end) {
			t.Fatal("the registry does not answer")
		}
	}
}

// buildVersions builds a real plugin, and makes files of it that differ.
func buildVersions(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	base := filepath.Join(dir, "base")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", base, "../../plugins/static/cmd/fleeting-plugin-static").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), append(slices.Clone(raw), name...), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPluginInstall goes through a real registry: push, install by version, what is refused, and the lock file with digests.
func TestPluginInstall(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // the logins of whoever runs the test do not matter
	addr, data := startRegistry(t)
	built, folder := buildVersions(t, "1.0.0", "1.1.0", "1.1.0-patched", "2.0.0"), t.TempDir()
	source := addr + "/ci/plugins/hosts"
	step := func(code int, want string, args ...string) string {
		t.Helper()
		got, stdout, stderr := tryIn(folder, args...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Fatalf("%q: %d, %q, %q; want %d, %q", args, got, stdout, stderr, code, want)
		}
		return stdout
	}
	installed := func(version string) string {
		return filepath.Join(folder, filepath.FromSlash(source), version, "plugin")
	}
	file := func(name string) string { return filepath.Join(built, name) }

	step(0, source+":1.0.0  sha256:", "plugin", "push", source+":1.0.0", file("1.0.0"))
	step(0, source+":1.1.0  sha256:", "plugin", "push", source+":1.1.0", file("1.1.0"))
	step(0, source+":1.1.0  sha256:", "plugin", "push", source+":1.1.0", file("1.1.0")) // the same again
	step(exitFailed, "is there with other bytes", "plugin", "push", source+":1.1.0", file("1.1.0-patched"))
	step(exitFailed, "write the whole version", "plugin", "push", source+":1", file("1.0.0"))
	step(exitFailed, "is not a taskscaler plugin", "plugin", "push", source+":3.0.0", "/bin/true")
	step(exitFailed, "is no program", "plugin", "push", source+":3.0.0", "main_test.go")
	step(exitFailed, "are both for", "plugin", "push", source+":3.0.0", file("1.0.0"), file("1.1.0"))

	step(0, source+"  1.0.0  sha256 ", "plugin", "install", source+":1.0")
	step(0, installed("1.1.0"), "plugin", "install", source)
	for _, v := range []string{"1.0.0", "1.1.0"} {
		got, err := os.ReadFile(installed(v))
		want, _ := os.ReadFile(file(v))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: it is not what was pushed: %v", v, err)
		}
	}
	step(0, installed("1.1.0"), "plugin", "path", "hosts")
	step(exitFailed, "has no version that matches", "plugin", "install", source+":7")
	step(exitFailed, "the registry does not have it", "plugin", "install", addr+"/ci/plugins/none")
	step(exitFailed, "cannot be reached", "plugin", "install", "127.0.0.1:1/ci/plugins/hosts")
	step(exitUsage, "does not say where the plugin comes from", "plugin", "install", "hosts")
	step(exitUsage, "and not both", "plugin", "install")
	if out := step(exitUsage, "does not say where", "plugin", "install", source, "hosts"); out != "" {
		t.Errorf("one argument is wrong, and another was installed: %s", out)
	}

	config := filepath.Join(t.TempDir(), "config.toml")
	text := "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"" + source + ":1\"\nmax_instances = 1\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	step(0, "  1.1.0  ", "plugin", "install", "--config", config)
	step(0, "(as locked)", "plugin", "lock", "--check", "--config", config)
	lock, err := os.ReadFile(filepath.Join(filepath.Dir(config), "taskscaler.lock"))
	if err != nil || !strings.Contains(string(lock), "digest = 'sha256:") || !strings.Contains(string(lock), "version = '1.1.0'") {
		t.Errorf("%s, %v", lock, err)
	}
	step(0, "", "plugin", "push", source+":1.2.0", file("2.0.0"))
	if err := os.RemoveAll(folder); err != nil { // another machine
		t.Fatal(err)
	}
	step(0, "  1.1.0  ", "plugin", "install", "--config", config) // the locked one, though there is a newer
	step(0, "  1.2.0  ", "plugin", "install", "--config", config, "--update")
	step(0, "0 faults", "validate", "--files", config)
	path := filepath.Join(filepath.Dir(config), "taskscaler.lock")
	lock, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"sha256 = '": "was locked: if the other may run", "digest = 'sha256:": "somebody has replaced this version"} {
		at := strings.Index(string(lock), key) + len(key)
		other := string(lock[:at]) + strings.Repeat("0", 64) + string(lock[at+64:])
		if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
			t.Fatal(err)
		}
		step(exitFailed, want, "plugin", "install", "--config", config)
	}
	if err := os.WriteFile(path, lock, 0o600); err != nil {
		t.Fatal(err)
	}
	tag := filepath.Join(data, "docker/registry/v2/repositories/ci/plugins/hosts/_manifests/tags/1.2.0")
	if _, err := os.Stat(tag); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(tag); err != nil { // as a registry that cleans up does
		t.Fatal(err)
	}
	step(0, "  1.2.0  ", "plugin", "install", "--config", config) // its digest is in the lock
	step(exitFailed, "the registry does not have it", "plugin", "install", source+":1.2.0")

	refusedImages(t, addr, data, built, step)
	if _, err := os.Stat(installed("4.0.0")); err == nil {
		t.Error("a damaged plugin was installed")
	}
	left := 0
	_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error {
		if strings.HasPrefix(filepath.Base(path), ".plugin.") {
			left++
		}
		return nil
	})
	if left > 0 {
		t.Errorf("%d files of failed installs were left behind", left)
	}
}

// refusedImages tries images that must not be installed: of another kind, for another machine, and with bytes that somebody has changed in the registry.
func refusedImages(t *testing.T, addr, data, built string, step func(code int, want string, args ...string) string) {
	t.Helper()
	source := addr + "/ci/plugins/hosts"
	repo, err := remote.NewRepository(addr + "/ci/plugins/foreign")
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	ctx := context.Background()
	layer := content.NewDescriptorFromBytes("application/vnd.oci.image.layer.v1.tar+gzip", []byte("layer"))
	if err := repo.Push(ctx, layer, strings.NewReader("layer")); err != nil {
		t.Fatal(err)
	}
	m, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, "application/x", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(ctx, m, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	step(exitFailed, "it is no plugin that `taskscaler plugin push` made", "plugin", "install", addr+"/ci/plugins/foreign")

	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		raw, err := os.ReadFile(filepath.Join(built, "1.0.0"))
		if err != nil {
			t.Fatal(err)
		}
		raw[18] = 0xf3 // the processor in the header: RISC-V
		if err := os.WriteFile(filepath.Join(built, "riscv"), raw, 0o755); err != nil {
			t.Fatal(err)
		}
		step(0, "", "plugin", "push", source+":3.0.0", filepath.Join(built, "riscv"))
		step(exitFailed, "there is no build for linux/amd64: there is one for linux/riscv64", "plugin", "install", source+":3")
	}

	step(0, "", "plugin", "push", source+":4.0.0", filepath.Join(built, "1.1.0-patched"))
	want, err := os.ReadFile(filepath.Join(built, "1.1.0-patched"))
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	_ = filepath.WalkDir(data, func(path string, e fs.DirEntry, _ error) error {
		if e.IsDir() || e.Name() != "data" {
			return nil
		}
		if got, err := os.ReadFile(path); err == nil && bytes.Equal(got, want) {
			got[len(got)-1] ^= 1
			changed++
			return os.WriteFile(path, got, 0o600)
		}
		return nil
	})
	if changed != 1 {
		t.Fatalf("%d blobs were changed", changed)
	}
	step(exitFailed, "mismatch", "plugin", "install", source+":4")
}
