package connector_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// winrmFails dials once and returns the error. It checks that the error names the address and never the password.
func winrmFails(t *testing.T, info provider.ConnectInfo, opts connector.DialOptions) error {
	t.Helper()
	ctx, _ := retries(t, 1, &opts)
	c, err := connector.Dial(ctx, info, quick(opts))
	if err == nil {
		_ = c.Close()
		t.Fatal("it connected")
	}
	if strings.Contains(err.Error(), info.Password) || !strings.Contains(err.Error(), "127.0.0.1:") {
		t.Errorf("the error shows the password, or does not name the address: %v", err)
	}
	return err
}

func TestWinRMWrongLogin(t *testing.T) {
	both := []string{"--auth", "ntlm,basic", "--login", "ci:right"}
	plain, secure := startWinRM(t, both...), startWinRMS(t, both...)
	for name, c := range map[string]struct {
		server         *winrmServer
		user, password string
		auth           connector.WinRMAuth
	}{
		"NTLM, wrong password":  {plain, winrmUser, "wrong-one", ""},
		"NTLM, unknown user":    {plain, `CORP\nobody`, winrmPassword, connector.WinRMNTLM},
		"NTLM, unknown domain":  {plain, `ELSE\ci`, winrmPassword, ""},
		"NTLM over https":       {secure, winrmUser, "wrong-one", ""},
		"Basic, wrong password": {secure, "ci", "wrong-one", connector.WinRMBasic},
	} {
		t.Run(name, func(t *testing.T) {
			info := c.server.info
			info.Username, info.Password = c.user, c.password
			err := winrmFails(t, info, connector.DialOptions{WinRM: connector.WinRMOptions{Auth: c.auth, Insecure: true}})
			var refused *connector.AuthError
			var connect *connector.ConnectError
			if !errors.As(err, &connect) || !errors.As(err, &refused) || refused.Username != c.user || !strings.Contains(err.Error(), "winrm_auth") {
				t.Fatalf("got %v", err)
			}
			if got := connector.FindingOf(err); got != connector.FindingUnusable {
				t.Errorf("the finding is %d", got)
			}
		})
	}
}

// TestWinRMMethods: NTLM is used where the server offers it. Basic is used only over TLS, and only if the server offers nothing else or it is asked for.
func TestWinRMMethods(t *testing.T) {
	ntlm, basic := []string{"--auth", "ntlm"}, []string{"--auth", "basic", "--login", winrmUser + ":" + winrmPassword}
	for name, c := range map[string]struct {
		args  []string
		https bool
		auth  connector.WinRMAuth
		works bool
	}{
		"http, NTLM offered": {ntlm, false, "", true}, "http, Basic offered": {basic, false, "", false},
		"https, NTLM offered": {ntlm, true, "", true}, "https, Basic offered": {basic, true, "", true},
		"https, Basic offered, NTLM asked for": {basic, true, connector.WinRMNTLM, false}, "https, NTLM offered, Basic asked for": {ntlm, true, connector.WinRMBasic, false},
	} {
		t.Run(name, func(t *testing.T) {
			start := startWinRM
			if c.https {
				start = startWinRMS
			}
			s := start(t, c.args...)
			opts := connector.DialOptions{WinRM: connector.WinRMOptions{Auth: c.auth}}
			if c.https {
				s.info.HostKeys = []string{s.pin()}
			}
			if c.works {
				if err := runOnce(t.Context(), s.info, quick(opts), connector.RunOptions{Command: "exit 0"}); err != nil {
					t.Error(err)
				}
				return
			}
			var refused *connector.AuthError
			if err := winrmFails(t, s.info, opts); !errors.As(err, &refused) || !strings.Contains(err.Error(), "it offers ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestWinRMBasicIsKept: Basic is refused before anything is sent where others could read the password, or where a stranger may answer.
func TestWinRMBasicIsKept(t *testing.T) {
	s := startWinRMS(t, "--auth", "basic", "--login", "ci:"+winrmPassword)
	s.info.Username = "ci"
	basic := connector.WinRMOptions{Auth: connector.WinRMBasic}
	plain := s.info
	plain.Protocol = provider.ProtocolWinRM
	if err := winrmFails(t, plain, connector.DialOptions{WinRM: basic}); !errors.Is(err, connector.ErrPlainBasic) {
		t.Errorf("without TLS: %v", err)
	}
	seen := func(string) error { return nil }
	if err := winrmFails(t, s.info, connector.DialOptions{WinRM: basic, PinHostKey: seen}); !errors.Is(err, connector.ErrPasswordOnly) {
		t.Errorf("an unknown certificate: %v", err)
	}
	var refused *connector.AuthError
	if err := winrmFails(t, s.info, connector.DialOptions{PinHostKey: seen}); !errors.As(err, &refused) || !refused.Withheld {
		t.Errorf("an unknown certificate, and no method is set: %v", err)
	}
	for name, opts := range map[string]connector.DialOptions{
		"allowed": {WinRM: basic, PinHostKey: seen, PasswordWithoutHostKey: true}, "insecure": {WinRM: connector.WinRMOptions{Insecure: true}},
		"a CA": {WinRM: connector.WinRMOptions{CA: s.pem()}},
	} {
		if err := runOnce(t.Context(), s.info, quick(opts), connector.RunOptions{Command: "exit 0"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWinRMPlainBasic: Basic without TLS works where it is allowed on purpose.
func TestWinRMPlainBasic(t *testing.T) {
	s := startWinRM(t, "--auth", "basic", "--login", "ci:"+winrmPassword)
	s.info.Username = "ci"
	opts := connector.DialOptions{WinRM: connector.WinRMOptions{Auth: connector.WinRMBasic, Insecure: true}}
	if err := runOnce(t.Context(), s.info, quick(opts), connector.RunOptions{Command: "exit 0"}); err != nil {
		t.Error(err)
	}
}

// TestWinRMLoginIsBound: a login with NTLM over TLS holds only for the certificate that the client sees, so nobody can pass it on to another machine.
func TestWinRMLoginIsBound(t *testing.T) {
	_, file := newCertificate(t, "127.0.0.1")
	s := startWinRM(t, "--cert", file, "--binding", strings.Repeat("00", 32))
	s.info.Protocol = provider.ProtocolWinRMHTTPS
	var refused *connector.AuthError
	if err := winrmFails(t, s.info, connector.DialOptions{Insecure: true}); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func TestWinRMCertificates(t *testing.T) {
	s := startWinRMS(t)
	other, _ := newCertificate(t, "127.0.0.1")
	_, otherName := newCertificate(t, "192.0.2.1")
	named := startWinRM(t, "--cert", otherName)
	named.info.Protocol = provider.ProtocolWinRMHTTPS
	run := func(info provider.ConnectInfo, opts connector.DialOptions) error {
		return runOnce(t.Context(), info, quick(opts), connector.RunOptions{Command: "exit 0"})
	}
	ca := connector.DialOptions{WinRM: connector.WinRMOptions{CA: s.pem()}}
	if err := run(s.info, ca); err != nil {
		t.Errorf("a CA: %v", err)
	}
	var bad *connector.CertificateError
	var authority x509.UnknownAuthorityError
	wrong := connector.DialOptions{WinRM: connector.WinRMOptions{CA: pemOf(other)}}
	if err := winrmFails(t, s.info, wrong); !errors.As(err, &bad) || !errors.As(err, &authority) {
		t.Errorf("another CA: %v", err)
	}
	if err := winrmFails(t, s.info, connector.DialOptions{}); !errors.As(err, &bad) {
		t.Errorf("nothing to check with: %v", err)
	}
	var hostname x509.HostnameError
	raw := connector.DialOptions{WinRM: connector.WinRMOptions{CA: readAll(t, otherName)}}
	if err := winrmFails(t, named.info, raw); !errors.As(err, &bad) || !errors.As(err, &hostname) || !strings.Contains(err.Error(), "winrm_ca_file") {
		t.Errorf("a certificate for another name: %v", err)
	}
	if err := run(s.info, connector.DialOptions{Insecure: true}); err != nil {
		t.Errorf("insecure: %v", err)
	}

	pinned := s.info
	pinned.HostKeys = []string{"ssh-ed25519 AAAA", strings.ToUpper(s.pin()[len("x509-sha256 "):])}
	pinned.HostKeys[1] = "x509-sha256 " + pinned.HostKeys[1]
	if err := run(pinned, connector.DialOptions{}); err != nil {
		t.Errorf("pinned: %v", err)
	}
	named.info.HostKeys = []string{s.pin()}
	var changed *connector.HostKeyError
	err := winrmFails(t, named.info, connector.DialOptions{Insecure: true, WinRM: connector.WinRMOptions{Insecure: true}})
	if !errors.As(err, &changed) || changed.Pinned[0] != s.pin() || connector.FindingOf(err) != connector.FindingChangedHostKey {
		t.Errorf("another certificate than the pinned one: %v", err)
	}
}

// TestWinRMPinsAtFirstContact: the certificate of a login that succeeds is given to PinHostKey, and is accepted as an entry of HostKeys from then on.
func TestWinRMPinsAtFirstContact(t *testing.T) {
	s := startWinRMS(t)
	var seen []string
	opts := connector.DialOptions{PinHostKey: func(key string) error { seen = append(seen, key); return nil }}
	if err := runOnce(t.Context(), s.info, quick(opts), connector.RunOptions{Command: "exit 0"}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{s.pin()}) {
		t.Fatalf("seen %q, want %q", seen, s.pin())
	}
	s.info.HostKeys = seen
	if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{}), connector.RunOptions{Command: "exit 0"}); err != nil {
		t.Error(err)
	}
	s.info.HostKeys = nil
	enough := errors.New("not this one")
	if err := winrmFails(t, s.info, connector.DialOptions{PinHostKey: func(string) error { return enough }}); !errors.Is(err, enough) {
		t.Errorf("a refused certificate: %v", err)
	}
}

func TestWinRMImpossibleInfo(t *testing.T) {
	valid := provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
	valid.Username, valid.Password, valid.Protocol = "me", "hunter2-hunter2", provider.ProtocolWinRMHTTPS
	var setting *connector.SettingError
	for name, c := range map[string]struct {
		change func(*provider.ConnectInfo, *connector.DialOptions)
		is     func(error) bool
	}{
		"username": {func(i *provider.ConnectInfo, _ *connector.DialOptions) { i.Username = "" }, func(err error) bool { return errors.Is(err, connector.ErrNoUsername) }},
		"password": {func(i *provider.ConnectInfo, _ *connector.DialOptions) { i.Password = "" }, func(err error) bool { return errors.Is(err, connector.ErrNoPassword) }},
		"address":  {func(i *provider.ConnectInfo, _ *connector.DialOptions) { i.InternalAddr = "" }, func(err error) bool { return errors.Is(err, connector.ErrNoAddress) }},
		"shell":    {func(_ *provider.ConnectInfo, o *connector.DialOptions) { o.WinRM.Shell = "bash" }, func(err error) bool { return errors.As(err, &setting) }},
		"auth":     {func(_ *provider.ConnectInfo, o *connector.DialOptions) { o.WinRM.Auth = "kerberos" }, func(err error) bool { return errors.As(err, &setting) }},
		"CA":       {func(_ *provider.ConnectInfo, o *connector.DialOptions) { o.WinRM.CA = []byte("no PEM") }, func(err error) bool { return errors.As(err, &setting) }},
		"pin": {func(i *provider.ConnectInfo, _ *connector.DialOptions) { i.HostKeys = []string{"x509-sha256 00"} },
			func(err error) bool { return errors.As(err, &setting) }},
	} {
		info, opts := valid, connector.DialOptions{}
		c.change(&info, &opts)
		_, err := connector.Dial(t.Context(), info, opts)
		if err == nil || !c.is(err) || strings.Contains(err.Error(), "hunter2") || connector.FindingOf(err) != connector.FindingNone {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connector.Dial(ctx, valid, connector.DialOptions{Insecure: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Dial: %v", err)
	}
}
