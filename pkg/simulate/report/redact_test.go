package report

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	text := configText + `
environment = ["DOCKER_AUTH=s3cr3t-a", "X=s3cr3t-b"]
connector_config = { username = "ci", password = 's3cr3t-c', key_path = "/etc/s3cr3t-d" }
private_key = """
s3cr3t-e
"""
max_token_age = 5
# password = s3cr3t-f
"api.key" = "s3cr3t-g"
`
	got := redact(text)
	for _, secret := range []string{"verysecret", "older-secret", "hunter2", "group-secret", "s3cr3t"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is shown:\n%s", secret, got)
		}
	}
	for _, kept := range []string{`name = "linux <large>"`, "gitlab.example.com", "scale_factor = 0.2", `username = "ci"`,
		`periods = ["* 7-19 * * mon-fri"]`} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is gone:\n%s", kept, got)
		}
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
