package config

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

func TestParsePlugin(t *testing.T) {
	for text, want := range map[string]pluginRef{
		"aws":                    {Name: "aws"},
		"aws:latest":             {Name: "aws", Constraint: "latest"},
		"fleeting-plugin-fake":   {Name: "fleeting-plugin-fake"},
		"group/sub/openstack":    {Repository: "group/sub", Name: "openstack"},
		"group/openstack:1":      {Repository: "group", Name: "openstack", Constraint: "1"},
		"r.example.com/g/aws":    {Registry: "r.example.com", Repository: "g", Name: "aws"},
		"localhost:5000/g/a:1.5": {Registry: "localhost:5000", Repository: "g", Name: "a", Constraint: "1.5"},
		"localhost/g/aws:1.5.1":  {Registry: "localhost", Repository: "g", Name: "aws", Constraint: "1.5.1"},
	} {
		got, err := parsePlugin(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":1", "aws:", "aws:1.2.3.4",
		"aws:v1", "aws:>1", "/bin/aws", `c:\aws`, `a\b`, "a//b", "a/", "a b", "a/../b",
		"-rf", "registry.example.com/aws", "r.example.com:port/g/aws", "r.example.com//aws", "a/b/c:latest:1", "a\nb"} {
		if got, err := parsePlugin(text); err == nil {
			t.Errorf("%q was parsed as %+v", text, got)
		}
	}
}

// An absolute path is taken as it is. A relative one is a fault, and the message has the absolute one.
func TestPluginPath(t *testing.T) {
	for text, want := range map[string]string{
		"/usr/local/bin/fleeting-plugin-digitalocean": "/usr/local/bin/fleeting-plugin-digitalocean",
		"/opt/./mine": "/opt/mine", "fake:1.5": "fake:1.5", "./plugins/mine": "/etc/runner/plugins/mine", "../mine": "/etc/mine", "group/aws:1": "group/aws:1",
	} {
		file, report := Parse("/etc/runner/config.toml", []byte(strings.ReplaceAll(fleet(""), `plugin = "aws"`, fmt.Sprintf("plugin = %q", text))))
		if len(report.Problems) > 0 {
			t.Fatal(report.Problems)
		}
		if got := file.Runners[0].Autoscaler.Plugin; got != want {
			t.Errorf("plugin = %q: got %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"gitlab-org/fleeting/plugins/aws:1", "registry.gitlab.com/gitlab-org/fleeting/plugins/aws"} {
		_, report := Parse("/etc/runner/config.toml", []byte(strings.ReplaceAll(fleet(""), `plugin = "aws"`, fmt.Sprintf("plugin = %q", text))))
		if p := report.Problems; len(p) != 1 || p[0].Code != CodePluginRegistry || !strings.Contains(p[0].Error(), `write plugin = "aws"`) {
			t.Errorf("plugin = %q: %v", text, p)
		}
	}
}

// TestStateKey: a file or a credential, and what cannot be one.
func TestStateKey(t *testing.T) {
	storage := func(lines string) (StateStorage, []Problem) {
		file, report := Parse("/etc/runner/config.toml", []byte(fleet("[runners.autoscaler.state_storage]\n"+lines)))
		if len(report.Problems) > 0 {
			return StateStorage{}, report.Problems
		}
		return file.Runners[0].Autoscaler.StateStorage, nil
	}
	for lines, want := range map[string]StateStorage{
		"": {}, "encrypt = false": {}, `key_file = ""`: {},
		`key_file = "state.key"`:                                 {KeyFile: "/etc/runner/state.key", Encrypt: true},
		`key_file = "/run/key"`:                                  {KeyFile: "/run/key", Encrypt: true},
		"key_file = \"/run/key\"\nencrypt = false":               {KeyFile: "/run/key"},
		`key_file = "$CREDENTIALS_DIRECTORY/state"`:              {KeyCredential: "state", Encrypt: true},
		`key_file = "$CREDENTIALS_DIRECTORY/..2026_11_27.state"`: {KeyCredential: "..2026_11_27.state", Encrypt: true},
	} {
		want.Enabled, want.Dir = true, "/etc/runner/.taskscaler"
		if got, problems := storage(lines); got != want || problems != nil {
			t.Errorf("%s: %+v, %v; want %+v", lines, got, problems, want)
		}
	}
	for lines, remedy := range map[string]string{
		"encrypt = true":                                    "add key_file",
		`key_file = "$CREDENTIALS_DIRECTORY/"`:              "LoadCredential=NAME:FILE",
		`key_file = "$CREDENTIALS_DIRECTORY/.."`:            "LoadCredential=NAME:FILE",
		`key_file = "$CREDENTIALS_DIRECTORY/../etc/shadow"`: "LoadCredential=NAME:FILE",
	} {
		if _, problems := storage(lines); len(problems) != 1 || !strings.Contains(problems[0].Error(), remedy) {
			t.Errorf("%s: %v", lines, problems)
		}
	}
}

// The decoder's message names the first byte of a character of several bytes; ours names the character.
func TestSyntaxFaultNamesTheCharacter(t *testing.T) {
	for text, want := range map[string]string{"concurrent = ü\n": "U+00FC 'ü'", "a = 1\né = 2\n": "U+00E9 'é'", "name = \"a\" €\n": "U+20AC '€'",
		"concurrent = %\n": "U+0025 '%'"} {
		_, report := Parse("c.toml", []byte(text))
		if len(report.Faults()) != 1 || !strings.Contains(report.Faults()[0].Message, want) {
			t.Errorf("%q: got %v, want %s", text, report.Faults(), want)
		}
	}
}

func TestZoneRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"Asia/Soul": `"Asia/Seoul"`, "seoul": `"Asia/Seoul"`, "New York": `"America/New_York"`, "utc": `"UTC"`, "europe/berlin": `"Europe/Berlin"`,
		"KST": "an IANA name", "+09:00": "an IANA name", "../../etc/passwd": "an IANA name",
	} {
		if got := zoneRemedy(text); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// Every time zone that may be suggested can be loaded.
func TestZoneNames(t *testing.T) {
	names := strings.Fields(zoneNames)
	if len(names) < 500 {
		t.Fatalf("only %d zones", len(names))
	}
	for _, name := range names {
		if _, err := time.LoadLocation(name); err != nil {
			t.Error(err)
		}
	}
}

func TestRepairedDurationsParse(t *testing.T) {
	for text, want := range map[string]string{"10": "10s", " 5 min ": "5m", "2 Days": "48h", "1 hr": "1h", "30sec": "30s",
		"1w": "", "1.5": "", "": "", "-3": ""} {
		if got := repairDuration(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	draw.Check(t, func(t *draw.T) {
		n := draw.Range[int64](0, math.MaxInt64).Draw(t, "n")
		proposed := proposeDuration(n)
		d, err := time.ParseDuration(proposed)
		if err != nil {
			t.Fatal(err)
		}
		if d != time.Duration(n) && d != time.Duration(n)*time.Second {
			t.Fatalf("%d became %s", n, proposed)
		}
	})
}

func TestOffendingLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"concurrent = = 1", "concurrent = = 1"},
		{"[runners", "[runners"},
		{"token = abc", "token = …"},
		{"x = { password = abc", "x = …"},
		{"\"token\" abc", "(line not shown: it may hold a secret)"},
		{strings.Repeat("a", 200), strings.Repeat("a", 120) + "…"},
	} {
		if got := offendingLine([]byte(c.text), 1); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
	key := "private = \"\"\"\nfirst line\nAAAAB3NzaC1yc2E==\nuser=third line\n\"\"\"\n"
	for line := 2; line <= 4; line++ {
		if got := offendingLine([]byte(key), line); got != "(line not shown: it may hold a secret)" {
			t.Errorf("line %d of a secret of several lines: %q", line, got)
		}
	}
	if got := offendingLine([]byte("a"), 7); got != "" {
		t.Errorf("a line that is not there: got %q", got)
	}
}
