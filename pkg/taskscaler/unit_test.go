package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

func TestConnectInfoAtRest(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	info := provider.ConnectInfo{
		ConnectorConfig: provider.ConnectorConfig{
			OS: "linux", Protocol: "ssh", ProtocolPort: 2222, Username: "root", Password: "once", Key: []byte("key"), Timeout: time.Minute,
		},
		ID: "i-1", ExternalAddr: "198.51.100.1", InternalAddr: "10.0.0.1:22", Expires: &at, HostKeys: []string{"ssh-ed25519 AAAA"},
	}
	own := provider.ConnectorConfig{Password: "another", Key: []byte("another")}
	value, err := encodeInfo(7, info, &own)
	if err != nil {
		t.Fatal(err)
	}
	snap := &statestore.Snapshot{
		State:   record.Saved{Instances: []record.Instance{{ID: "i-1", Serial: 7}, {ID: "i-2", Serial: 1}, {ID: "i-3", Serial: 8}}},
		Secrets: map[record.ID][]byte{"i-1": value.Reveal(), "i-3": value.Reveal()},
	}
	v, err := openVault(snap, &own)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := v.get("i-1"); !ok || !reflect.DeepEqual(s.info.Reveal(), info) || s.serial != 7 {
		t.Errorf("stored and loaded: %+v", s.info.Reveal().HostKeys)
	}
	if _, ok := v.get("i-2"); ok {
		t.Error("an instance without a secret has one")
	}
	if _, ok := v.get("i-3"); ok {
		t.Error("a secret of an earlier instance with the same ID was used")
	}
	snap.Secrets["i-1"] = []byte("{")
	if _, err := openVault(snap, &own); err == nil || !strings.Contains(err.Error(), "i-1") {
		t.Errorf("damaged connect info: %v", err)
	}
}

func FuzzConnectInfoAtRest(f *testing.F) {
	f.Add([]byte(`{"serial":1,"info":{"id":"i-1"},"static_key":true}`))
	f.Add([]byte(`{"info":{"key":"!"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, value []byte) {
		saved := record.Saved{Instances: []record.Instance{{ID: "i-1", Serial: 1}}}
		snap := &statestore.Snapshot{State: saved, Secrets: map[record.ID][]byte{"i-1": value}}
		own := &provider.ConnectorConfig{Password: "p", Key: []byte("k")}
		v, err := openVault(snap, own)
		if err != nil {
			return
		}
		s, ok := v.get("i-1")
		if !ok {
			return
		}
		again, err := encodeInfo(1, s.info.Reveal(), own)
		if err != nil {
			return // JSON cannot represent this time
		}
		snap.Secrets["i-1"] = again.Reveal()
		if v, err = openVault(snap, own); err != nil {
			t.Fatalf("%q was read, and written as %q, which cannot be read: %v", value, again.Reveal(), err)
		}
		a, _ := s.info.Reveal().RevealJSON()
		two, _ := v.get("i-1")
		if b, _ := two.info.Reveal().RevealJSON(); string(a) != string(b) {
			t.Fatalf("%s became %s", a, b)
		}
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := access{id: "i-1", stored: secret.Hide([]byte("hunter2")),
		info: secret.Hide(provider.ConnectInfo{ConnectorConfig: provider.ConnectorConfig{Password: "hunter2"}})}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, s); strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// TestEventsHaveNoSecrets: no type that goes into the journal can contain connect info, including fields that are added later.
func TestEventsHaveNoSecrets(t *testing.T) {
	bad := map[reflect.Type]bool{
		reflect.TypeFor[provider.ConnectInfo](): true, reflect.TypeFor[provider.ConnectorConfig](): true, reflect.TypeFor[access](): true,
		reflect.TypeFor[secret.Text](): true,
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, path string) {
		if bad[typ] {
			t.Errorf("%s is %v", path, typ)
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(typ.Elem(), path+"*")
		case reflect.Struct:
			for i := range typ.NumField() {
				walk(typ.Field(i).Type, path+"."+typ.Field(i).Name)
			}
		}
	}
	walk(reflect.TypeFor[scaler.Event](), "Event")
	walk(reflect.TypeFor[scaler.Batch](), "Batch")
	walk(reflect.TypeFor[Status](), "Status")
}

func TestWaitersTable(t *testing.T) {
	var table waiters
	a, b := &waiter{}, &waiter{}
	ta, tb := table.add(a), table.add(b)
	if ta == 0 || tb == 0 || ta == tb {
		t.Fatalf("tickets %d and %d", ta, tb)
	}
	if table.take(ta) != a || table.take(ta) != nil || a.ticket != 0 {
		t.Error("a ticket was found twice")
	}
	c := &waiter{}
	if tc := table.add(c); tc == ta || table.take(ta) != nil || table.take(tc) != c {
		t.Error("an old ticket finds the waiter that now has its slot")
	}
	table.turn = math.MaxUint32 - 1 // tickets go on after 2³² calls
	for range 3 {
		d := &waiter{}
		if td := table.add(d); td == 0 || td == tb || table.take(td) != d {
			t.Errorf("ticket %d does not find its waiter", td)
		}
	}
	for _, bad := range []uint64{0, 99, 1 << 40} {
		if table.take(bad) != nil {
			t.Errorf("ticket %d finds a waiter", bad)
		}
	}
	n := 0
	table.each(func(w *waiter) {
		if n++; w != b {
			t.Error("each finds a waiter that was answered")
		}
	})
	if n != 1 {
		t.Errorf("each found %d", n)
	}
}

func TestErrorsAreWhatTheySay(t *testing.T) {
	all := []error{ErrNoCapacity, ErrShutdown, ErrDraining, ErrUnknownKey, ErrDuplicateKey, context.DeadlineExceeded, context.Canceled}
	for cause, want := range map[record.Cause]error{
		record.CauseDeadline: context.DeadlineExceeded, record.CauseCancelled: context.Canceled, record.CauseShutdown: ErrShutdown,
		record.CauseDraining:   ErrDraining,
		record.CauseUnknownKey: ErrUnknownKey, record.CauseDuplicate: ErrDuplicateKey, record.CauseNoCapacity: ErrNoCapacity, record.CausePlugin: nil,
	} {
		err := &WaitError{Key: "job", Cause: cause, Why: record.CauseQuota, Waited: time.Minute - 40}
		for _, sentinel := range all {
			if got := errors.Is(err, sentinel); got != (sentinel == want) {
				t.Errorf("%v is %v: %v", cause, sentinel, got)
			}
		}
		if !strings.Contains(err.Error(), `"job"`) || !strings.Contains(err.Error(), "1m0s; it was waiting because an account limit") {
			t.Errorf("%q", err)
		}
	}
	for _, err := range []error{
		&RevokedError{Key: "k", Instance: "i-1", Cause: record.CauseUnhealthy}, &GroupMismatchError{Stored: "a", Provider: "b"},
		&LeftoverError{Instances: []string{"i-1", "i-2"}}, &LeftoverError{Expected: 2}, &LeftoverError{Expected: 2, Paused: true}, &StopError{Reason: "because", Err: errors.New("disk full")},
	} {
		if text := err.Error(); text == "" || strings.Contains(text, "%!") || strings.HasSuffix(text, ".") {
			t.Errorf("%T: %q", err, text)
		}
	}
}

func TestProvidersLogGoesToOurs(t *testing.T) {
	var buf logBuffer
	log := hclogTo(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelInfo})))
	log.Debug("not this")
	log.Info("started", "region", "eu")
	log.Named("asg").With("group", "x").Warn("careful")
	log.Error("broken")
	for _, want := range []string{
		`level=INFO msg=started logger=provider region=eu`, `level=WARN msg=careful logger=provider.asg group=x`, `level=ERROR msg=broken`,
	} {
		if !buf.has(want) {
			t.Errorf("the log lacks %q:\n%s", want, buf.String())
		}
	}
	if buf.has("not this") {
		t.Error("debug lines are in a log of level info")
	}
}
