//go:build unix

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// reasonOf launches what must not start, and returns why it does not.
func reasonOf(t *testing.T, opts plugin.LaunchOptions) (plugin.Reason, string) {
	t.Helper()
	opts.StartTimeout = hang
	p, err := plugin.Launch(t.Context(), opts)
	if err == nil {
		_ = p.Close(t.Context())
		t.Fatalf("%s was launched", opts.Path)
	}
	var refusal *plugin.LaunchError
	if !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	return refusal.Reason, err.Error()
}

// patched returns the bytes of a file with one replacement of the same length.
func patched(t *testing.T, path string, from, to []byte) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, from) {
		t.Skipf("%s does not contain %q", path, from)
	}
	return bytes.Replace(raw, from, to, 1)
}

// TestFilesThatAreNoPlugin: what lies at the place of a plugin is recognised, and the message names it and what to do.
func TestFilesThatAreNoPlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	macho := append([]byte("\xcf\xfa\xed\xfe\x0c\x00\x00\x01"), make([]byte, 24)...) // CPU type arm64
	pe := make([]byte, 128)
	copy(pe, "MZ")
	pe[0x3c] = 0x40
	copy(pe[0x40:], "PE\x00\x00\x64\x86")
	machine := runtime.GOOS + "/" + runtime.GOARCH
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		says    []string
	}{
		"text":            {[]byte("see README\n"), 0o755, []string{"it is a text file, and no script"}},
		"text-no-bit":     {[]byte("see README\n"), 0o644, []string{"it is a text file", "chmod +x "}},
		"script-no-bit":   {[]byte("#!/bin/sh\n"), 0o644, []string{"is a script that nobody may execute: chmod +x "}},
		"no-shell":        {[]byte("#!/no/such/shell -e\n"), 0o755, []string{"it is a script for /no/such/shell, and there is no such interpreter"}},
		"carriage-return": {[]byte("#!/bin/sh\r\nexit 0\r\n"), 0o755, []string{"it is a script whose lines end as on Windows", "convert it"}},
		"empty":           {nil, 0o755, []string{"it is an empty file"}},
		"mac":             {macho, 0o755, []string{"built for darwin/arm64, and this machine is " + machine}},
		"mac-no-bit":      {macho, 0o644, []string{"built for darwin/arm64, and this machine is " + machine}},
		"windows":         {pe, 0o755, []string{"built for windows/amd64, and this machine is " + machine}},
		"noise":           {[]byte("\x00\x01\x02\xff\xfe"), 0o755, []string{"it is no program of a known form"}},
		"odd-interpreter": {[]byte("#!\x1b[2J/no\n"), 0o755, []string{"interpreter"}},
	} {
		path := filepath.Join(dir, name)
		replace(t, path, c.content)
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		reason, said := reasonOf(t, plugin.LaunchOptions{Path: path})
		if reason != plugin.ReasonNotExecutable && !(name == "empty" || name == "text" || name == "noise") || strings.ContainsRune(said, 0x1b) {
			t.Errorf("%s: %v: %q", name, reason, said)
		}
		for _, want := range c.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in %q", name, want, said)
			}
		}
	}
	link := filepath.Join(dir, "fleeting-plugin-link")
	if err := os.Symlink("gone", link); err != nil {
		t.Fatal(err)
	}
	if reason, said := reasonOf(t, plugin.LaunchOptions{Path: link}); reason != plugin.ReasonNotFound || !strings.Contains(said, "is a symbolic link to "+filepath.Join(dir, "gone")) {
		t.Errorf("%v: %s", reason, said)
	}
	if _, err := plugin.Find("link", plugin.FindOptions{Beside: dir}); err == nil || !strings.Contains(err.Error(), "is a symbolic link to ") {
		t.Errorf("%v", err)
	}
	if _, err := plugin.Find(link, plugin.FindOptions{}); err == nil || !strings.Contains(err.Error(), "is a symbolic link to ") {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "fleeting-plugin-folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := plugin.Find("folder", plugin.FindOptions{Beside: dir}); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("%v", err)
	}
}

// TestProgramsOfOtherMachines: real programs, one for another processor, and one whose loader is missing.
func TestProgramsOfOtherMachines(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("it changes programs for linux/amd64")
	}
	path := filepath.Join(t.TempDir(), "fleeting-plugin-other")
	replace(t, path, patched(t, testPlugin, []byte("\x02\x00\x3e\x00\x01\x00\x00\x00"), []byte("\x02\x00\xf3\x00\x01\x00\x00\x00"))) // riscv64
	if reason, said := reasonOf(t, plugin.LaunchOptions{Path: path}); reason != plugin.ReasonNotExecutable || !strings.Contains(said, "built for linux/riscv64, and this machine is linux/amd64: install the build for linux/amd64") {
		t.Errorf("%v: %s", reason, said)
	}
	replace(t, path, patched(t, "/bin/true", []byte("/ld-linux-x86-64.so.2"), []byte("/ld-linux-x86-64.so.9")))
	if reason, said := reasonOf(t, plugin.LaunchOptions{Path: path}); reason != plugin.ReasonNotExecutable || !strings.Contains(said, "/lib64/ld-linux-x86-64.so.9, which this machine does not have") {
		t.Errorf("%v: %s", reason, said)
	}
}

// TestGitLabsPlugin: a program that was built with GitLab's library is named as such. It prints what every plugin of HashiCorp's library prints to a host
// that is not its own; testplugin really is one.
func TestGitLabsPlugin(t *testing.T) {
	t.Parallel()
	reason, said := reasonOf(t, plugin.LaunchOptions{Path: testPlugin, Args: []string{"foreign"}})
	if reason != plugin.ReasonForeignProtocol || !strings.Contains(said, "is a plugin of another program") || !strings.Contains(said, "put it beside the taskscaler binary") {
		t.Errorf("%v: %s", reason, said)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module gitlab.com/gitlab-org/fleeting/plugins/aws\n\ngo 1.21\n",
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() {\n\tos.Stderr.WriteString(\"This binary is a plugin. These are not meant to be executed directly.\\n\")\n\tos.Exit(1)\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "fleeting-plugin-aws")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	reason, said = reasonOf(t, plugin.LaunchOptions{Path: path})
	if reason != plugin.ReasonForeignProtocol || !strings.Contains(said, "it is GitLab's build of this plugin (made with gitlab.com/gitlab-org/fleeting/plugins/aws") ||
		!strings.Contains(said, "taskscaler needs its own build") {
		t.Errorf("%v: %s", reason, said)
	}
}

// TestAsk: a plugin says what it is without a configuration, also one that is pinned. What is none does not.
func TestAsk(t *testing.T) {
	t.Parallel()
	path, sum := ownPlugin(t)
	for _, pin := range []string{"", sum} {
		got, err := plugin.Ask(t.Context(), plugin.LaunchOptions{Path: path, SHA256: pin, StartTimeout: hang})
		if err != nil || got.Name != "testplugin" || got.Version != "1.2.3" || got.Platform != runtime.GOOS+"/"+runtime.GOARCH || got.Protocol != 1 ||
			strings.Join(got.Capabilities, " ") != "heartbeat suspend_resume" || !strings.HasPrefix(got.GoVersion, "go1.") || got.Revision != "abc" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := plugin.Ask(t.Context(), plugin.LaunchOptions{Path: "/bin/true", StartTimeout: hang}); err == nil || !strings.Contains(err.Error(), "not a taskscaler plugin") {
		t.Errorf("%v", err)
	}
}

// TestVersionOfThePlugin: a plugin whose file does not tell its version is asked for it.
func TestVersionOfThePlugin(t *testing.T) {
	t.Parallel()
	for want, good := range map[string]bool{"": true, "latest": true, "1": true, "1.2": true, "1.2.3": true, "v1.2.3": true, "1.3": false, "2": false, "1.2.4": false} {
		opts := quick(`{"says_version": "v1.2.3"}`)
		opts.Version = want
		p := launch(t, opts)
		_, err := p.Init(context.Background(), nil, provider.Settings{})
		if (err == nil) != good || err != nil && (provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "is version v1.2.3, but the configuration asks for "+want)) {
			t.Errorf("%q: %v", want, err)
		}
	}
	var log buffer
	opts := quick(`{"says_version": "dev"}`)
	opts.Version, opts.Logger = "1.5", jsonLogger(&log)
	start(t, opts)
	if !strings.Contains(log.String(), "is not known") {
		t.Errorf("no warning in %s", log.String())
	}
}

// TestSecurityPinnedPlugin: a plugin that others can replace may run if its bytes are pinned: no other bytes run.
func TestSecurityPinnedPlugin(t *testing.T) {
	t.Parallel()
	path, sum := ownPlugin(t)
	if err := os.Chmod(path, 0o757); err != nil {
		t.Fatal(err)
	}
	refused(t, path)
	opts := quick(`{}`)
	opts.Path, opts.SHA256, opts.SHA256From, opts.InsecurePath = path, sum, "the sum in x.lock", true
	list(t, start(t, opts))
	replace(t, path, []byte("#!/bin/sh\n"))
	if reason, said := reasonOf(t, opts); reason != plugin.ReasonChecksum || !strings.Contains(said, "but the sum in x.lock is "+sum) {
		t.Errorf("%v: %s", reason, said)
	}
}
