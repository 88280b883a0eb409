package plugin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

type base struct {
	Region string `json:"region"`
}

type duration struct{ time.Duration }

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	var err error
	d.Duration, err = time.ParseDuration(s)
	return err
}

type host struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

type config struct {
	base
	Name   string            `json:"name"`
	Boot   duration          `json:"boot"`
	Wait   provider.Duration `json:"wait"`
	Hosts  map[string]host   `json:"hosts"`
	List   []*host           `json:"list"`
	Tags   map[string]string `json:"tags"`
	Any    any               `json:"any"`
	Rate   float64           `json:"rate"`
	On     bool              `json:"on"`
	Hidden string            `json:"-"`
	Plain  int
	secret string
}

func TestConfigure(t *testing.T) {
	var c config
	err := plugin.Configure(&c, json.RawMessage(`{"region": "eu", "NAME": "n", "boot": "3s", "hosts": {"a": {"address": "x", "port": 1}},
		"list": [{"port": 2}], "tags": {"free": "form"}, "any": {"x": [1]}, "Plain": 4}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu" || c.Name != "n" || c.Boot.Duration != 3*time.Second || c.Hosts["a"].Port != 1 || c.List[0].Port != 2 ||
		c.Tags["free"] != "form" || c.Plain != 4 || c.secret != "" {
		t.Errorf("%+v", c)
	}
	for _, nothing := range []string{"", "  ", "null", "{}"} {
		if err := plugin.Configure(&c, json.RawMessage(nothing)); err != nil || c.Name != "n" {
			t.Errorf("%q: %v, %+v", nothing, err, c)
		}
	}
}

// TestConfigureDuration: provider.Duration reads text and seconds, and a fault names the key.
func TestConfigureDuration(t *testing.T) {
	var c struct {
		Boot struct {
			Wait provider.Duration `json:"wait"`
		} `json:"boot"`
	}
	for text, want := range map[string]time.Duration{`"90s"`: 90 * time.Second, `45`: 45 * time.Second} {
		if err := plugin.Configure(&c, json.RawMessage(`{"boot": {"wait": `+text+`}}`)); err != nil || c.Boot.Wait.Std() != want {
			t.Errorf("%s is %v, %v", text, c.Boot.Wait, err)
		}
	}
	for _, text := range []string{`"soon"`, `60000000000`, `true`} {
		err := plugin.Configure(&c, json.RawMessage(`{"boot": {"wait": `+text+`}}`))
		if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "plugin_config: boot.wait must be a duration") || strings.Contains(err.Error(), "soon") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// named is a group with one key.
type named struct {
	provider.InstanceGroup
	Name string `json:"name"`
}

// TestConfigureFillsTheInnerGroup: a group that takes turns is configured by the keys of the group that it gives its calls to.
func TestConfigureFillsTheInnerGroup(t *testing.T) {
	inner := &named{}
	outer := provider.Serial(provider.Serial(inner))
	if err := plugin.Configure(outer, json.RawMessage(`{"name": "n"}`)); err != nil || inner.Name != "n" {
		t.Errorf("%q, %v", inner.Name, err)
	}
	if err := plugin.Configure(outer, json.RawMessage(`{"nmae": "n"}`)); err == nil || !strings.Contains(err.Error(), `did you mean "name"`) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestConfigureFaults(t *testing.T) {
	for _, c := range []struct {
		json string
		says []string
	}{
		{`{"nmae": 1}`, []string{`unknown key "nmae" (did you mean "name"?)`}},
		{`{"b": 1, "regoin": 2}`, []string{`"b"`, `"regoin" (did you mean "region"?)`}},
		{`{"hosts": {"a": {"adress": "x"}}}`, []string{`"hosts.a.adress" (did you mean "address"?)`}},
		{`{"list": [{}, {"prot": 1}]}`, []string{`"list[1].prot" (did you mean "port"?)`}},
		{`{"quite_another_thing": 1}`, []string{"write one of: Plain, any, boot"}},
		{`{"Hidden": "x"}`, []string{`"Hidden"`}},
		{`{"secret": "x"}`, []string{`"secret"`}},
		{`{"name": 12345}`, []string{"name must be a string, not a number"}},
		{`{"on": "yes"}`, []string{"on must be true or false, not a string"}},
		{`{"rate": "1"}`, []string{"rate must be a number"}},
		{`{"tags": []}`, []string{"tags must be a table, not a list"}},
		{`{"hosts": {"a": {"port": 1.5}}}`, []string{"port must be a whole number, not one that has a fraction"}},
		{`{"boot": "soon"}`, []string{"plugin_config: boot: ", "invalid duration"}},
		{`{"boot": 5}`, []string{"boot"}},
		{`{"name": "x"`, []string{"unexpected end"}},
		{`"text"`, []string{"must be a table, not a string"}},
	} {
		err := plugin.Configure(&config{}, json.RawMessage(c.json))
		if provider.KindOf(err) != provider.KindConfig {
			t.Errorf("%s: %v", c.json, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is missing in: %v", c.json, s, err)
			}
		}
	}
	if err := plugin.Configure(config{}, json.RawMessage(`{}`)); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("a struct that is no pointer: %v", err)
	}
}

// Whatever Configure accepts, a decoder that knows the same struct accepts too, and the other way round; neither shows a value.
func FuzzConfigure(f *testing.F) {
	for _, s := range []string{
		`{"name": "n"}`, `{"hosts": {"a": {"adress": 1}}}`, `[]`, `{"list": [null, {"port": 1}]}`, `{"NAME":1}`, ``, `{"boot":"1s"}`, `{"wait":90}`, `{"wait":"1m"}`, `{"wait":-1e5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got, want config
		err := plugin.Configure(&got, raw)
		if len(strings.TrimSpace(string(raw))) == 0 || string(raw) == "null" {
			if err != nil {
				t.Fatalf("nothing is a fault: %v", err)
			}
			return
		}
		strict := json.NewDecoder(strings.NewReader(string(raw)))
		strict.DisallowUnknownFields()
		strictErr := strict.Decode(&want)
		if err == nil && strictErr != nil {
			t.Fatalf("%q was accepted, but: %v", raw, strictErr)
		}
		if err != nil && strictErr == nil && json.Valid(raw) {
			t.Fatalf("%q was refused: %v", raw, err)
		}
	})
}
