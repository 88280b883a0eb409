package provider_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"90s"`: 90 * time.Second, `"1h30m"`: 90 * time.Minute, `90`: 90 * time.Second, `0.5`: 500 * time.Millisecond, `0`: 0, `"0s"`: 0, `-1`: -time.Second,
		`999999`: 999999 * time.Second, `1e2`: 100 * time.Second, `null`: 7,
	} {
		c := struct{ D provider.Duration }{7}
		if err := json.Unmarshal([]byte(`{"D": `+text+`}`), &c); err != nil || c.D.Std() != want {
			t.Errorf("%s is %v, %v, want %v", text, c.D, err, want)
		}
	}
	for _, text := range []string{`""`, `"90"`, `"soon"`, `true`, `[]`, `{}`, `1000000`, `60000000000`, `-1e9`, `1e999`} {
		var c struct{ D provider.Duration }
		err := json.Unmarshal([]byte(`{"D": `+text+`}`), &c)
		var mistyped *json.UnmarshalTypeError
		if !errors.As(err, &mistyped) || mistyped.Field != "D" {
			t.Errorf("%s is %v, %v: want an error that names the key", text, c.D, err)
		}
	}
	var d provider.Duration
	if err := d.UnmarshalJSON(nil); err == nil {
		t.Errorf("nothing is %v", d)
	}
	raw, err := json.Marshal(map[string]provider.Duration{"wait": provider.Duration(90 * time.Second)})
	if err != nil || string(raw) != `{"wait":"1m30s"}` {
		t.Errorf("it is written as %s, %v", raw, err)
	}
}
