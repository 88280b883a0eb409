package policy

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"testing"
	"time"
)

// TestScheduleTravels: encoding and decoding a schedule gives an equal one, including its zone and a throttle of zeros.
func TestScheduleTravels(t *testing.T) {
	seoul, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	policies := []Policy{
		{Settings: Settings{IdleCount: 3, IdleTime: time.Minute, ScaleFactor: 1.5, ScaleFactorLimit: 7, ScaleFactorMode: FactorAdd}},
		{Periods: []string{"* 8-17 * * mon-fri", "0 0 1 1 *"}, Timezone: "Europe/Berlin", Settings: Settings{Preemptive: true, Throttle: &Throttle{}}},
		{Timezone: "Local", Settings: Settings{Throttle: &Throttle{Limit: -1, Burst: 3}}, Periods: []string{"59 23 * * *"}},
	}
	for _, local := range []*time.Location{nil, time.UTC, time.Local, seoul} {
		s, err := Compile(policies, local)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		var back struct{ A, Nil *Schedule }
		if err := gob.NewEncoder(&b).Encode(struct{ A, Nil *Schedule }{A: s}); err != nil {
			t.Fatal(err)
		}
		if err := gob.NewDecoder(&b).Decode(&back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back.A, s) || back.Nil != nil {
			t.Errorf("local %v: %+v came back as %+v", local, s, back.A)
		}
		if !reflect.DeepEqual(back.A.Policies(), policies) || back.A.zone().String() != s.zone().String() {
			t.Errorf("policies %+v in %v", back.A.Policies(), back.A.zone())
		}
	}
}

// TestPoliciesAreCopies: changing the result of Policies does not change the schedule.
func TestPoliciesAreCopies(t *testing.T) {
	s, err := Compile([]Policy{{Periods: []string{"* * * * *"}, Settings: Settings{Throttle: &Throttle{Burst: 1}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Policies()
	p[0].Periods[0], p[0].Throttle.Burst = "x", 9
	if q := s.Policies(); q[0].Periods[0] != "* * * * *" || q[0].Throttle.Burst != 1 || s.At(time.Now()).Settings.Throttle.Burst != 1 {
		t.Errorf("changed from outside: %+v", q)
	}
	if (*Schedule)(nil).Policies() != nil || (*Schedule)(nil).zone() != time.UTC {
		t.Error("want no policies and UTC for the nil schedule")
	}
}

// TestDecodeRefuses: data that cannot be compiled is an error, and a compiled schedule is never overwritten.
func TestDecodeRefuses(t *testing.T) {
	s, err := Compile(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.UnmarshalBinary(data); err == nil {
		t.Error("a compiled schedule was overwritten")
	}
	enc := func(e encoded) []byte {
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(e); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "noise": []byte("noise"), "zone": enc(encoded{Local: "No/Where"}),
		"period": enc(encoded{Policies: []Policy{{Periods: []string{"?"}}}}),
	} {
		if err := new(Schedule).UnmarshalBinary(data); err == nil {
			t.Errorf("%s was decoded", name)
		}
	}
}
