package provider_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// filled returns connect info without a zero field.
func filled(t *testing.T) provider.ConnectInfo {
	t.Helper()
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	values := map[reflect.Type]any{
		reflect.TypeFor[bool](): true, reflect.TypeFor[int](): 22, reflect.TypeFor[[]byte](): []byte("PRIVATE"), reflect.TypeFor[[]string](): []string{"a", "b"},
		reflect.TypeFor[time.Duration](): time.Minute, reflect.TypeFor[*time.Time](): &at, reflect.TypeFor[provider.Protocol](): provider.ProtocolWinRM,
	}
	var info provider.ConnectInfo
	var fill func(v reflect.Value, name string)
	fill = func(v reflect.Value, name string) {
		switch value, known := values[v.Type()]; {
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i), v.Type().Field(i).Name)
			}
		case known:
			v.Set(reflect.ValueOf(value))
		case v.Kind() == reflect.String:
			v.SetString("the " + name)
		default:
			t.Fatalf("%s has the type %s: say what it is filled with", name, v.Type())
		}
	}
	fill(reflect.ValueOf(&info).Elem(), "")
	info.Password = "hunter2"
	return info
}

// TestSecretsDoNotPrint: passwords and keys are in no text form, no structured log, no error and no JSON, whatever holds them.
func TestSecretsDoNotPrint(t *testing.T) {
	info := filled(t)
	config, settings := info.ConnectorConfig, provider.Settings{ConnectorConfig: info.ConnectorConfig}
	type holder struct {
		Info     provider.ConnectInfo
		settings secret.Value[provider.Settings]
	}
	for _, v := range []any{
		config, &config, settings, &settings, info, &info, []provider.ConnectInfo{info}, map[string]*provider.Settings{"s": &settings},
		holder{info, secret.Hide(settings)}, &holder{info, secret.Hide(settings)}, errors.New(fmt.Sprint("connect: ", info)), fmt.Errorf("connect: %w", fmt.Errorf("%+v", settings)),
	} {
		var out bytes.Buffer
		for _, verb := range "vTtbcdoOqxXUeEfFgGsz" { // not %w and %p, for which fmt asks no method: vet refuses both here
			for _, flag := range []string{"", "+", "#", "-9", " "} {
				fmt.Fprintf(&out, "%"+flag+string(verb), v)
			}
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		hclog.New(&hclog.LoggerOptions{Output: &out}).Info("hclog", "v", v)
		hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true}).Info("hclog", "v", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"hunter2", "PRIVATE", "[80 82 73", "80, 82, 73", "0x50, 0x52", "UFJJVkFURQ", "68756e74657232", "50524956415445"} {
			if strings.Contains(out.String(), text) {
				t.Errorf("%T shows %q:\n%s", v, text, out.String())
			}
		}
	}
	for _, want := range []string{"username=the Username", "password=[redacted]", "key=[redacted]"} {
		if !strings.Contains(info.String(), want) {
			t.Errorf("nothing says %s: %s", want, info)
		}
	}
	if got := (provider.ConnectorConfig{Username: "u"}).String(); strings.Contains(got, "redacted") {
		t.Errorf("a secret that is not set is shown: %s", got)
	}
}

// TestConnectInfoInJSON: only RevealJSON writes the secrets, and everything else is the same.
func TestConnectInfoInJSON(t *testing.T) {
	want := filled(t)
	revealed, err := want.RevealJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got provider.ConnectInfo
	if err := json.Unmarshal(revealed, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s came back as another one (%v)", revealed, err)
	}
	shown, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	redacted := strings.NewReplacer(`"hunter2"`, `"[redacted]"`, `"UFJJVkFURQ=="`, `"[redacted]"`).Replace(string(revealed))
	var a, b map[string]any
	if json.Unmarshal(shown, &a) != nil || json.Unmarshal([]byte(redacted), &b) != nil || !reflect.DeepEqual(a, b) || len(a) != 15 {
		t.Errorf("it is shown as\n%s, want\n%s", shown, redacted)
	}
	if raw, err := json.Marshal(provider.ConnectInfo{ID: "i"}); err != nil || string(raw) != `{"id":"i"}` {
		t.Errorf("an empty one is shown as %s, %v", raw, err)
	}
}
