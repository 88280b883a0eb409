package plugin_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestLaunchRefusals(t *testing.T) {
	dir := t.TempDir()
	script := func(name, body string) string {
		path := filepath.Join(dir, name)
		write(t, path, body)
		return path
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		path   string
		sum    string
		reason plugin.Reason
		says   []string
	}{
		{"missing", filepath.Join(dir, "none"), "", plugin.ReasonNotFound, []string{"there is no file", "install"}},
		{"a folder", dir, "", plugin.ReasonNotExecutable, []string{"folder"}},
		{"not executable", plain, "", plugin.ReasonNotExecutable, []string{"chmod +x"}},
		{"no program", script("noprogram", "\x7fELF nonsense"), "", plugin.ReasonNotExecutable, []string{"built for this machine"}},
		{"missing interpreter", script("noshell", "#!/no/such/shell\n"), "", plugin.ReasonNotExecutable, []string{"interpreter"}},
		{"true", "/bin/true", "", plugin.ReasonNotAPlugin, []string{"did not answer as a taskscaler plugin", "printed nothing"}},
		{"junk", script("junk", "#!/bin/sh\necho hello world\nexec sleep 600\n"), "", plugin.ReasonNotAPlugin, []string{`printed "hello world"`}},
		{"junk like a handshake", script("bars", "#!/bin/sh\necho 'a|b|c|d|e'\n"), "", plugin.ReasonNotAPlugin, []string{"a|b|c|d|e"}},
		{"silent", script("silent", "#!/bin/sh\nexec sleep 600\n"), "", plugin.ReasonStartTimeout, []string{"printed nothing within"}},
		{"exits", script("exits", "#!/bin/sh\necho 'no libmoon.so' >&2\nexit 127\n"), "", plugin.ReasonExitedEarly,
			[]string{"exit status 127", "no libmoon.so"}},
		{"another program's plugin", script("foreign",
			"#!/bin/sh\necho 'This binary is a plugin. These are not meant to be executed directly.' >&2\nexit 1\n"),
			"", plugin.ReasonForeignProtocol, []string{"another program", "its own build"}},
		{"another protocol", script("later", "#!/bin/sh\necho '1|99|unix|/tmp/x|grpc|'\nexec sleep 600\n"), "", plugin.ReasonForeignProtocol,
			[]string{"protocol 99", "speaks 1"}},
		{"no such socket", script("liar", "#!/bin/sh\necho '1|1|unix|/nonexistent/x|grpc|'\nexec sleep 600\n"), "", plugin.ReasonUnknown,
			[]string{"connection"}},
		{"another sum", testPlugin, strings.Repeat("0", 64), plugin.ReasonChecksum, []string{"plugin_sha256", "not started"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := plugin.LaunchOptions{Path: c.path, SHA256: c.sum, StartTimeout: hang}
			if c.reason == plugin.ReasonStartTimeout {
				opts.StartTimeout = time.Second
			}
			p, err := plugin.Launch(t.Context(), opts)
			if err == nil {
				_ = p.Close(t.Context())
				t.Fatal("it was launched")
			}
			var refusal *plugin.LaunchError
			if !errors.As(err, &refusal) || refusal.Reason != c.reason {
				t.Fatalf("got %v (%+v), want %v", err, refusal, c.reason)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q is missing in: %v", s, err)
				}
			}
		})
	}
}

func TestLaunchWithTheRightSum(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(testPlugin)
	if err != nil {
		t.Fatal(err)
	}
	opts := quick(`{}`)
	opts.SHA256 = fmt.Sprintf("%X", sha256.Sum256(raw))
	list(t, start(t, opts))
}

func TestLaunchCanBeGivenUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "silent")
	write(t, path, "#!/bin/sh\nexec sleep 600\n")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := plugin.Launch(ctx, plugin.LaunchOptions{Path: path, StartTimeout: time.Hour})
	var refusal *plugin.LaunchError
	if !errors.As(err, &refusal) || refusal.Reason != plugin.ReasonCancelled || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Launch = %v", err)
	}
}

func TestInitFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config string
		kind   provider.FailureKind
		says   []string
	}{
		{`{"die_at_init": "exit"}`, provider.KindTransient, []string{"ended during Init", "exit status 3", "the moon is down"}},
		{`{"die_at_init": "panic"}`, provider.KindTransient, []string{"ended during Init", "panic: a fault in Init"}},
		{`{"die_at_init": "config", "group": "g"}`, provider.KindConfig, []string{`group "g" does not exist`}},
		{`{"max_sise": 3, "nonsense_of_mine": 1}`, provider.KindConfig, []string{`unknown key "max_sise" (did you mean "max_size"?)`, "nonsense_of_mine"}},
		{`{"max_size": "three"}`, provider.KindConfig, []string{"max_size must be a whole number, not a string"}},
		{`[]`, provider.KindConfig, []string{"must be a table"}},
	} {
		t.Run(c.config, func(t *testing.T) {
			p := launch(t, quick(c.config))
			pid := p.Status().PID
			_, err := p.Init(t.Context(), nil, provider.Settings{})
			if provider.KindOf(err) != c.kind {
				t.Errorf("Init: kind %v (%v), want %v", provider.KindOf(err), err, c.kind)
			}
			for _, s := range c.says {
				if err == nil || !strings.Contains(err.Error(), s) {
					t.Errorf("%q is missing in: %v", s, err)
				}
			}
			if exists(pid) {
				t.Error("the process is still there")
			}
			if _, err := p.Increase(t.Context(), 1); provider.KindOf(err) != provider.KindTransient {
				t.Errorf("a call without Init: %v", err)
			}
		})
	}
}

// After a temporary fault the same Process can be used.
func TestInitMayBeRepeatedAfterAnError(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	write(t, mark, "")
	p := launch(t, quick(fmt.Sprintf(`{"die_once_at": %q}`, mark)))
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); provider.KindOf(err) != provider.KindTransient {
		t.Fatalf("the first Init: %v", err)
	}
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatalf("the second Init: %v", err)
	}
	list(t, p)
}

func TestInitThatHangs(t *testing.T) {
	t.Parallel()
	p := launch(t, quick(`{"die_at_init": "hang"}`))
	pid := p.Status().PID
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Init(ctx, nil, provider.Settings{}); provider.KindOf(err) != provider.KindTransient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Init = %v", err)
	}
	if exists(pid) {
		t.Error("the process is still there")
	}
}

// Relative paths are relative to the working directory. The plugin gets only the variables that it may have, and its children not the private ones.
func TestSecurityEnvironment(t *testing.T) {
	for _, kv := range [][2]string{
		{"PLUGIN_MIN_PORT", "from-an-outer-plugin"}, {"CI_JOB_TOKEN", "of-another-program"}, {"LD_LIBRARY_PATH", "/nowhere"}, {"AWS_PROFILE", "ci"}, {"OS_CLOUD", "c"}, {"WANTED", "w"},
	} {
		t.Setenv(kv[0], kv[1])
	}
	var log buffer
	opts := quick(`{"clean_env_file": "env", "file": "table"}`)
	opts.Dir, opts.Env, opts.Logger = t.TempDir(), []string{"GIVEN=value", "OS_*", "WANTED", "NOT_THERE"}, jsonLogger(&log)
	p := start(t, opts)
	if n, err := p.Increase(t.Context(), 1); n != 1 || err != nil {
		t.Fatalf("Increase = %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(opts.Dir, "table")); err != nil {
		t.Errorf("a relative path: %v", err)
	}
	raw, err := os.ReadFile(filepath.Join(opts.Dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := string(raw)
	for _, want := range []string{"GIVEN=value\n", "PATH=", "AWS_PROFILE=ci\n", "OS_CLOUD=c\n", "WANTED=w\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("%q is missing in:\n%s", want, env)
		}
	}
	for _, key := range []string{"PLUGIN_", "TASKSCALER_PLUGIN", "CI_JOB_TOKEN", "LD_", "NOT_THERE"} {
		for line := range strings.Lines(env) {
			if strings.HasPrefix(line, key) {
				t.Errorf("a plugin's children inherit %s", line)
			}
		}
	}
	if !strings.Contains(log.String(), "NOT_THERE") || strings.Contains(log.String(), "WANTED") {
		t.Errorf("the log does not say which variable is not set: %s", log.String())
	}
	opts.Env = []string{"NO NAME=hunter2"}
	if _, err := plugin.Launch(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "entry 1") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
