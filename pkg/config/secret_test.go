package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// The secrets of the fixtures.
var fixtureSecrets = []string{"glrt-SECRET", "hunter2"}

// checkSecrets fails when text contains a secret, as text or as the numbers of a printed byte slice.
func checkSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range fixtureSecrets {
		numbers := strings.Trim(fmt.Sprint([]byte(secret)), "[]")
		hex := fmt.Sprintf("%x", secret)
		for _, form := range []string{secret, numbers, hex, fmt.Sprintf("%#v", []byte(secret))[7:]} {
			if strings.Contains(text, strings.Trim(form, "{}")) {
				t.Errorf("the secret %q is shown: %s", secret, text)
			}
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	file, report := Parse("config.toml", readFile(t, "testdata/good/everything.toml"))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	runner := file.Runners[0]
	a := runner.Autoscaler
	if runner.Token.Reveal() != "glrt-SECRET" || a.Connector.Password.Reveal() != "hunter2" || !bytes.Contains(a.PluginConfig.Raw(), []byte("hunter2")) {
		t.Fatal("the secrets are not there at all")
	}
	type holder struct{ secret Secret } // unexported: fmt cannot call its methods and prints it by reflection
	values := []any{
		file, *file, file.Runners, runner, &runner, a, *a, a.Connector, a.PluginConfig, a.VMIsolation, runner.Token, &runner.Token,
		holder{runner.Token}, struct{ c RawConfig }{a.PluginConfig}, map[string]Secret{"x": runner.Token},
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			checkSecrets(t, fmt.Sprintf(verb, v))
		}
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var log bytes.Buffer
			slog.New(handler(&log)).Info("x", "value", v)
			checkSecrets(t, log.String())
		}
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		checkSecrets(t, string(encoded))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		checkSecrets(t, fmt.Sprintf(verb, a.Connector.ToProvider([]byte("hunter2"))))
	}
	encoded, err := toml.Marshal(struct{ Token, Password Secret }{runner.Token, a.Connector.Password})
	if err != nil {
		t.Fatal(err)
	}
	checkSecrets(t, string(encoded))
}

func TestRawConfig(t *testing.T) {
	var none RawConfig
	if none.Raw() != nil || !none.secret.Empty() || none.String() != "" {
		t.Error("the zero RawConfig holds something")
	}
	c := newRawConfig(json.RawMessage(`{"a":1}`))
	raw := c.Raw()
	raw[0] = 'x'
	if string(c.Raw()) != `{"a":1}` || !c.Equal(newRawConfig([]byte(`{"a":1}`))) || c.Equal(none) {
		t.Errorf("got %s", c.Raw())
	}
}
