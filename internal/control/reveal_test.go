package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// TestOnlyTheCallerGetsTheCredentials: a lease that is sent has its credentials, and in every other form they are redacted.
func TestOnlyTheCallerGetsTheCredentials(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	ev := Event{Lease: &Lease{
		Key: "k", Instance: "i-1", Slot: 2, Use: 3, UseExternalAddr: true, AllowLegacySSH: true, WinRM: &WinRM{Shell: "cmd"},
		Jump: &JumpHost{Address: "bastion:22", Username: "ops", Key: secret.New("SECOND"), HostKeys: []string{"ssh-ed25519 AAAA"}},
		Connect: &provider.ConnectInfo{ID: "i-1", InternalAddr: "10.0.0.1", Expires: &at, HostKeys: []string{"ssh-ed25519 AAAA"},
			ConnectorConfig: provider.ConnectorConfig{Username: "ci", Password: "hunter2", Key: []byte("PRIVATE")}},
	}}
	for _, ev := range []Event{ev, {Lease: &Lease{Key: "k"}}, {Wait: &Wait{Position: 1}}, {Alive: true}, {Released: true},
		{Revoked: &Revoked{Instance: "i-1"}}, {Error: &APIError{Code: CodeBadRequest}}} {
		var line bytes.Buffer
		if err := writeEvent(&line, ev); err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := json.Unmarshal(line.Bytes(), &got); err != nil || !reflect.DeepEqual(got, ev) {
			t.Errorf("%s arrives as another event (%v)", line.String(), err)
		}
		if n := strings.Count(line.String(), "\n"); n != 1 {
			t.Errorf("%d lines", n)
		}
	}
	raw, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(raw), fmt.Sprintf("%+v %#v", ev.Lease, *ev.Lease)} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "PRIVATE") || strings.Contains(text, "SECOND") || strings.Contains(text, "UFJJVkFURQ") {
			t.Errorf("the credentials are shown: %s", text)
		}
	}
}
