package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

// A decision in JSON has the names of records, and its bounds as words.
func TestDecisionJSON(t *testing.T) {
	want := Decision{IdleTarget: 1, Needed: 2, Room: 3, RoomBy: BoundProviderMax, Allowed: -1, Grow: 1, BoundBy: BoundThrottle, Breaker: true}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"idle_target":1`, `"room_by":"provider_max"`, `"throttle_allowed":-1`, `"bound_by":"throttle"`, `"breaker":true`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
	if strings.ToLower(string(text)) != string(text) {
		t.Errorf("a name has upper case: %s", text)
	}
	var got Decision
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"bound_by":"fate"}`), &got); err == nil {
		t.Error("an unknown bound was read")
	}
	for b := BoundNone; int(b) < len(boundNames); b++ {
		var back Bound
		if err := back.UnmarshalText([]byte(b.String())); err != nil || back != b {
			t.Errorf("%s was read as %s, %v", b, back, err)
		}
	}
}
