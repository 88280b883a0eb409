package conformance

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// connectInfo calls ConnectInfo at once when a machine is running. If it fails, it waits until it works, for the sake of the other checks.
func (t *trial) connectInfo() {
	id := t.running()
	_, err := t.connect(t.ctx, id)
	if err == nil {
		return
	}
	t.mustList()
	if t.anyLost() {
		cannot("%v", errLost)
	}
	t.fail("Report running only when ConnectInfo works and a connection may succeed; until then it is creating.", "ConnectInfo of %q, which Update reports as running, failed: %v", id, err)
	for deadline := time.Now().Add(t.o.Timeout); err != nil && time.Now().Before(deadline) && t.ctx.Err() == nil; {
		if provider.KindOf(err) == provider.KindNotFound {
			return
		}
		t.pause(min(t.o.Poll, 100*time.Millisecond))
		_, err = t.connect(t.ctx, id)
	}
}

func (t *trial) connectForm() {
	id := t.running()
	info := t.mustConnect(id)
	if info.ID != id && info.ID != "" {
		t.fail("Answer for the machine that was asked for.", "ConnectInfo(%q).ID is %q", id, info.ID)
	}
	switch info.Protocol {
	case "", provider.ProtocolSSH, provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
	default:
		t.fail("Use a Protocol constant of package provider, or leave it empty.", "the protocol is %q", info.Protocol)
	}
	if info.ProtocolPort < 0 || info.ProtocolPort > 65535 {
		t.fail("A port is 1 to 65535; 0 is the default of the protocol.", "the port is %d", info.ProtocolPort)
	}
	if info.Expires != nil && info.Expires.Before(time.Now()) {
		t.fail("Set Expires to when the credentials end, and make new ones before that.", "the credentials have expired at %s", info.Expires.Format(time.RFC3339))
	}
}

func (t *trial) address() {
	info := t.mustConnect(t.running())
	if info.ExternalAddr == "" && info.InternalAddr == "" {
		t.fail("Set InternalAddr or ExternalAddr. A machine without an address is still creating.", "ConnectInfo of a running machine has no address")
	}
	for field, addr := range map[string]string{"ExternalAddr": info.ExternalAddr, "InternalAddr": info.InternalAddr} {
		if addr != "" && !isAddress(addr) {
			t.fail("An address is a host name or an IP address, with :port if it differs from ProtocolPort.", "%s is %q", field, addr)
		}
	}
}

// isAddress reports whether a text is a host or host:port.
func isAddress(addr string) bool {
	host := addr
	if h, port, err := net.SplitHostPort(addr); err == nil {
		if _, err := net.LookupPort("tcp", port); err != nil {
			return false
		}
		host = h
	}
	bare, zone, zoned := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "%")
	if net.ParseIP(bare) != nil {
		return !zoned || zone != ""
	}
	return host != "" && len(host) <= 253 && !strings.ContainsAny(host, "/@:[]%\\\"' ") && !strings.ContainsFunc(host, unicode.IsControl)
}

func (t *trial) hostKeys() {
	info := t.mustConnect(t.running())
	if len(info.HostKeys) == 0 {
		skip("the group knows no host keys: the manager pins what it sees at first contact")
	}
	for _, key := range info.HostKeys {
		if !isHostKey(key) {
			t.fail(`Use the line of ssh_host_ed25519_key.pub ("ssh-ed25519 AAAA…"), without a host name before it; for winrm+https "x509-sha256 " and 64 hex digits.`,
				"the host key %.60q cannot be read", key)
		}
	}
}

// isHostKey reports whether a text is a public key as in authorized_keys: its type, and base64 that begins with the same type.
func isHostKey(line string) bool {
	f := strings.Fields(line)
	if len(f) < 2 {
		return false
	}
	if f[0] == "x509-sha256" {
		sum, err := hex.DecodeString(f[1])
		return err == nil && len(sum) == 32
	}
	raw, err := base64.StdEncoding.DecodeString(f[1])
	if err != nil || len(raw) < 4 {
		return false
	}
	n := int(raw[0])<<24 | int(raw[1])<<16 | int(raw[2])<<8 | int(raw[3])
	return n > 0 && n < len(raw)-4 && string(raw[4:4+n]) == f[0]
}

func (t *trial) connects() {
	if t.o.Dial == nil {
		skip("nothing connects in this run")
	}
	id := t.running()
	info := t.mustConnect(id)
	_, err := attempt(t.ctx, t.session, "dial", func(ctx context.Context) (struct{}, error) { return struct{}{}, t.o.Dial(ctx, info) })
	if err != nil {
		t.fail("Compare the user, the key, the host keys, the address and the port that ConnectInfo answers with those of the machine. Report running when a connection may succeed.",
			"the machine %q is running, and connecting failed: %v", id, err)
	}
}

// connectSettings opens the group a second time, with other settings, and looks whether ConnectInfo keeps them.
func (t *trial) connectSettings() {
	id := t.running()
	t.needs("beside")
	settings := t.o.Settings
	want := &settings.ConnectorConfig
	want.Arch, want.Username, want.ProtocolPort = "riscv64", "operator", 2222
	want.Keepalive, want.Timeout, want.UseStaticCredentials = 41*time.Second, 43*time.Second, true
	want.Password = "the-operators-own"
	if want.OS == "" {
		want.OS = "linux"
	}
	if len(want.Key) == 0 {
		want.Key = newKey()
	}
	h := t.reopen(settings)
	defer t.drop(h)
	info, err := connectWith(t.ctx, t, h.Group(), id)
	if err != nil {
		cannot("ConnectInfo failed: %v", err)
	}
	got := info.ConnectorConfig
	for _, f := range []struct {
		name string
		same bool
	}{
		{"arch", got.Arch == want.Arch}, {"username", got.Username == want.Username}, {"protocol_port", got.ProtocolPort == want.ProtocolPort},
		{"keepalive", got.Keepalive == want.Keepalive}, {"timeout", got.Timeout == want.Timeout}, {"password", got.Password == want.Password},
		{"use_static_credentials", got.UseStaticCredentials == want.UseStaticCredentials}, {"os", got.OS == want.OS},
		{"protocol", want.Protocol == "" || got.Protocol == want.Protocol}, {"key", string(got.Key) == string(want.Key)},
	} {
		if !f.same {
			t.fail("Start from Settings.ConnectorConfig, and fill in only the empty fields. (What plugin_config sets for this very machine may win: if that is so here, leave it out for the run.)", "the operator set %s, and ConnectInfo answered another value", f.name)
		}
	}
}

// newKey returns a private key in PEM form, as an operator would set it.
func newKey() []byte {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func (t *trial) heartbeat() {
	h := t.heartbeater()
	id := t.running()
	if err := t.beat(t.ctx, h, id); err != nil {
		t.fail("Return nil for a machine that works, and an error of provider.KindUnhealthy only for one that must not be used again.", "Heartbeat of the running machine %q returned %s", id, orNil(err))
	}
}
