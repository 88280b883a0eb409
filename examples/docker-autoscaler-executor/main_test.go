package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/examples/runner"
)

// result is how a job ended.
type result struct {
	code           int
	stdout, stderr string
}

// runCommand runs the command with a job as its standard input.
func runCommand(ctx context.Context, job string, args ...string) result {
	var stdout, stderr bytes.Buffer
	c := command()
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(job), &stdout, &stderr
	code := c.Run(ctx, append(args, "-"))
	return result{code, stdout.String(), stderr.String()}
}

func TestWrongSettings(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a pattern":         {[]string{"-allowed-image", "ruby[:*"}, []string{`-allowed-image "ruby[:*"`, `"ruby:*"`}},
		"a volume":          {[]string{"-volume", "/cache"}, []string{`-volume "/cache"`, "/cache:/cache"}},
		"a relative target": {[]string{"-volume", "/cache:cache"}, []string{`-volume "/cache:cache"`, "absolute"}},
		"a pull policy":     {[]string{"-pull-policy", "sometimes"}, []string{`-pull-policy "sometimes"`, "if-not-present"}},
		"a socket":          {[]string{"-socket", "/run/x; id"}, []string{`-socket "/run/x; id"`, "/var/run/docker.sock"}},
		"a default image":   {[]string{"-image", "Alpine"}, []string{`"Alpine"`, "alpine:3.20"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := runCommand(t.Context(), `{"script": ["true"], "image": "alpine"}`, c.args...)
			if r.code != runner.ExitUsage {
				t.Errorf("exit code %d", r.code)
			}
			for _, text := range c.want {
				if !strings.Contains(r.stderr, text) {
					t.Errorf("%q does not say %q", r.stderr, text)
				}
			}
		})
	}
}

func TestImages(t *testing.T) {
	patterns := []string{"ruby:*", "registry.example.com:5000/*/*", "registry.example.org/tools/**", "alpine:3.{19,20}"}
	for _, c := range []struct {
		image   string
		allowed bool
	}{
		{"ruby:3.3", true},
		{"ruby:", false}, // not the name of an image
		{"ruby", false},
		{"jruby:9", false},
		{"evil/ruby:3.3", false},
		{"registry.example.com:5000/team/app:1", true},
		{"registry.example.com:5000/app", false},
		{"registry.example.com:5000/team/sub/app:1", false},
		{"registry.example.org/tools/a/b/c:1", true},
		{"registry.example.org/other/a", false},
		{"alpine:3.20", true},
		{"alpine:3.18", false},
		{"default:1", true}, // the operator's own
		{"../../containers/x", false},
		{"", true}, // the default
	} {
		e := &Executor{Image: "default:1", AllowedImages: patterns}
		err := e.Check(&runner.Job{Image: c.image})
		if (err == nil) != c.allowed {
			t.Errorf("%q: %v", c.image, err)
		}
		if err != nil && !strings.Contains(err.Error(), `key "image"`) {
			t.Errorf("%q: %q does not name the key", c.image, err)
		}
	}
	if err := (&Executor{}).Check(&runner.Job{Image: "any/thing:1"}); err != nil {
		t.Errorf("without patterns: %v", err)
	}
	if err := (&Executor{}).Check(&runner.Job{}); err == nil || !strings.Contains(err.Error(), "-image") {
		t.Errorf("no image at all: %v", err)
	}
}
