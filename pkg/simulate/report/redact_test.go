package report

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	text := configText + `
[runners.autoscaler.connector_config]
username = "ci"
password = 's3cr3t-c'
key_path = "/etc/s3cr3t-d"
[[runners]]
name = "other"
pre_build_script = """
curl -H s3cr3t-a
"""
environment = ["DOCKER_AUTH=s3cr3t-b"]
[runners.autoscaler]
instance_ready_command = "login s3cr3t-e" # password s3cr3t-f
max_token_age = 5
"api.key" = "s3cr3t-g"
proxy = "http://me:s3cr3t-h@proxy.example.com"
`
	got := redact(text)
	for _, secret := range []string{"verysecret", "older-secret", "hunter2", "group-secret", "s3cr3t", "# a fleet", "pre_build_script", "gitlab.example.com"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is shown:\n%s", secret, got)
		}
	}
	for _, kept := range []string{`name = 'linux <large>'`, "concurrent = 200", "scale_factor = 0.2", `username = 'ci'`, "proxy.example.com",
		`periods = ['* 7-19 * * mon-fri']`, "name = 'other'"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is gone:\n%s", kept, got)
		}
	}
	if got := redact("[boot]\np50 = \"50s\" # of s3cr3t\n"); !strings.Contains(got, "p50 = '50s'") || strings.Contains(got, "s3cr3t") {
		t.Errorf("a model reads %s", got)
	}
	if got := redact("token = \"s3cr3t\nx = "); strings.Contains(got, "s3cr3t") {
		t.Errorf("a broken file is shown: %s", got)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("s3cr3t", "note", "x")
	f.Add("a\\\"b", "[table]", "'")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		marked := "MARK" + strings.Map(func(c rune) rune {
			if c < ' ' || c == '"' || c == '\\' || c == 0xfffd || c == 0x7f {
				return -1
			}
			return c
		}, secret) + "MARK"
		got := redact("# " + strings.ReplaceAll(before, "\n", " ") + "\n[runners]\ntoken = \"" + marked + "\"\n" + after)
		if strings.Contains(got, marked) && !strings.Contains(before+after, marked) {
			t.Errorf("shown: %q", got)
		}
	})
}
