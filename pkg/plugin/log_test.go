package plugin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// The plugin's messages go to the host's log. Secrets that the plugin prints do not, whatever way it prints them.
func TestLogBridge(t *testing.T) {
	t.Parallel()
	const (
		password = `hunter"2\with`
		own      = "made-by-the-plugin"
		keyLine  = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE"
	)
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\n" + keyLine + "\n-----END OPENSSH PRIVATE KEY-----\n"
	var out buffer
	opts := quick(fmt.Sprintf(`{"leak": true, "password": %q}`, own))
	opts.Logger = jsonLogger(&out)
	p := launch(t, opts)
	settings := provider.Settings{ConnectorConfig: provider.ConnectorConfig{Username: "u", Password: password, Key: []byte(key)}}
	if _, err := p.Init(t.Context(), nil, settings); err != nil {
		t.Fatal(err)
	}
	until(t, "the last line", func() bool { return strings.Contains(out.String(), "complained") })
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, secret := range []string{"hunter", own, keyLine, "with", "LS0tLS1CRUdJTiBPUEVOU1NI"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q was logged:\n%s", secret, text)
		}
	}
	for _, want := range []string{
		`"the password is [redacted]"`, `"own":"[redacted]"`, `"raw \"[redacted]\""`, "printed [redacted]", "complained [redacted]",
		`{\"@message\": 1}`, `"plugin":"fleeting-plugin-test"`, `"level":"DEBUG","msg":"the key is [redacted]"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no record: %s", line)
		}
	}
}

// A secret in the environment of a plugin is removed from what the plugin prints, in whatever way the variable came there: with every plugin's, by its name
// or a pattern in the settings, or with its value. What is no secret stays.
func TestSecuritySecretsOfTheEnvironmentInTheLog(t *testing.T) {
	secrets := map[string]string{
		"AWS_SECRET_ACCESS_KEY": "passed-to-each-4711", "HCLOUD_TOKEN": "passed-by-name-4712", "OS_PASSWORD": "passed-by-pattern-4713",
	}
	for name, value := range secrets {
		t.Setenv(name, value)
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("OS_CLOUD", "the-blue-cloud")
	secrets["GIVEN_TOKEN"] = "given-4714"
	var out buffer
	opts := quick(`{"leak_env": true}`)
	opts.Env, opts.Logger = []string{"HCLOUD_TOKEN", "OS_*", "GIVEN_TOKEN=given-4714", "GIVEN_PLACE=the-moon"}, jsonLogger(&out)
	p := start(t, opts)
	until(t, "the last line", func() bool { return strings.Contains(out.String(), "that is all") })
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, secret := range secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the value of %s was logged", name)
		}
	}
	for _, plain := range []string{"it has eu-central-1", "there is the-blue-cloud", "it has the-moon", "it has [redacted]", "there is [redacted]"} {
		if !strings.Contains(out.String(), plain) {
			t.Errorf("%q is missing in:\n%s", plain, out.String())
		}
	}
}

// The lines of a panic are logged as errors.
func TestPluginPanicIsAnErrorInTheLog(t *testing.T) {
	t.Parallel()
	var out buffer
	opts := quick(`{"die_at_init": "panic"}`)
	opts.Logger = jsonLogger(&out)
	p := launch(t, opts)
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); err == nil {
		t.Fatal("Init succeeded")
	}
	if !strings.Contains(out.String(), `"level":"ERROR","msg":"panic: a fault in Init`) {
		t.Errorf("the panic is not in the log:\n%s", out.String())
	}
}
