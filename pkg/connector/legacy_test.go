package connector_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// shortKey returns an RSA key of 1024 bits.
func shortKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestLegacyServers: a server of an old image is refused with the remedy, at once, and accepted if the operator said so.
func TestLegacyServers(t *testing.T) {
	for name, c := range map[string]struct {
		options []string
		pinned  string // the host key's type; empty: unknown
		want    string
	}{
		"key exchange": {[]string{"KexAlgorithms diffie-hellman-group14-sha1"}, ssh.KeyAlgoED25519, "only the key exchange diffie-hellman-group14-sha1"},
		"group exchange": {[]string{"KexAlgorithms diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1"}, ssh.KeyAlgoED25519,
			"only the key exchange diffie-hellman-group-exchange-sha1"},
		"MAC":              {[]string{"Ciphers aes128-ctr", "MACs hmac-sha1"}, ssh.KeyAlgoED25519, "only the MAC hmac-sha1"},
		"unknown host key": {[]string{"HostKeyAlgorithms ssh-rsa"}, "", "only host keys of type ssh-rsa"},
		"pinned host key":  {[]string{"HostKeyAlgorithms ssh-rsa"}, ssh.KeyAlgoRSA, "only host keys of type ssh-rsa"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSSHD(t, c.options...)
			switch c.pinned {
			case "":
				s.info.HostKeys = nil
			case ssh.KeyAlgoRSA:
				s.info.HostKeys = []string{readPublic(t, s.dir, c.pinned)}
			}
			checkLegacy(t, s.info, c.want)
		})
	}
}

// checkLegacy checks that the server is refused at once for what it offers, and accepted with LegacyAlgorithms.
func checkLegacy(t *testing.T, info provider.ConnectInfo, offers string) {
	t.Helper()
	opts := quick(connector.DialOptions{PinHostKey: func(string) error { return nil }})
	err := runOnce(t.Context(), info, opts, connector.RunOptions{Command: "true"})
	var old *connector.LegacyError
	var failed *connector.ConnectError
	if !errors.As(err, &old) || old.Offers != offers || !strings.Contains(err.Error(), "allow_legacy_ssh = true") {
		t.Fatalf("got %v", err)
	}
	if !errors.As(err, &failed) || failed.Cause != nil {
		t.Errorf("it was retried: %v", err)
	}
	opts.LegacyAlgorithms = true
	if err := runOnce(t.Context(), info, opts, connector.RunOptions{Command: "true"}); err != nil {
		t.Errorf("with LegacyAlgorithms: %v", err)
	}
}

// TestSshdGroupExchange: the group exchange with SHA-256 is used only on demand. The error of a server that offers nothing else names the setting, and the
// setting allows nothing with SHA-1.
func TestSshdGroupExchange(t *testing.T) {
	s := startSSHD(t, "KexAlgorithms diffie-hellman-group-exchange-sha256,diffie-hellman-group-exchange-sha1")
	login := func(opts connector.DialOptions) error {
		return runOnce(t.Context(), s.info, quick(opts), connector.RunOptions{Command: "true"})
	}
	err := login(connector.DialOptions{})
	var old *connector.LegacyError
	var failed *connector.ConnectError
	if !errors.As(err, &old) || old.Offers != "only the key exchange diffie-hellman-group-exchange-sha256" || !strings.Contains(err.Error(), s.address()) ||
		!strings.Contains(err.Error(), "allow_dh_group_exchange = true") || strings.Contains(err.Error(), "allow_legacy_ssh") {
		t.Fatalf("got %v", err)
	}
	if !errors.As(err, &failed) || failed.Cause != nil {
		t.Errorf("it was retried: %v", err)
	}
	for name, opts := range map[string]connector.DialOptions{"on demand": {GroupExchange: true}, "with all old algorithms": {LegacyAlgorithms: true}} {
		if err := login(opts); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s = startSSHD(t, "KexAlgorithms diffie-hellman-group-exchange-sha1")
	if err := login(connector.DialOptions{GroupExchange: true}); !errors.As(err, &old) || !strings.Contains(err.Error(), "allow_legacy_ssh = true") {
		t.Errorf("with SHA-1: %v", err)
	}
}

func TestShortHostKey(t *testing.T) {
	host, public := marshalKey(t, shortKey(t))
	info := newInfo(t, serveMore(t, host, &ssh.ServerConfig{NoClientAuth: true}).port(), nil)
	checkLegacy(t, info, "an RSA host key of 1024 bits")
	info.HostKeys = []string{authorized(public)}
	checkLegacy(t, info, "an RSA host key of 1024 bits")
}

// TestShortPrivateKey: a short RSA key is not used to log in, unless the operator said so.
func TestShortPrivateKey(t *testing.T) {
	private, public := marshalKey(t, shortKey(t))
	s := startSSHD(t, "RequiredRSASize 1024")
	write(t, s.dir+"/authorized_keys", []byte(authorized(public)+"\n"))
	s.info.Key = private
	_, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{}))
	var bad *connector.KeyError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "1024 bits") || !strings.Contains(err.Error(), "allow_legacy_ssh = true") {
		t.Errorf("got %v", err)
	}
	if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{LegacyAlgorithms: true}), connector.RunOptions{Command: "true"}); err != nil {
		t.Errorf("with LegacyAlgorithms: %v", err)
	}
}

// TestNoSignatureWithSHA1: a server that takes only SHA-1 signatures of RSA keys gets none.
func TestNoSignatureWithSHA1(t *testing.T) {
	private, public := marshalKey(t, rsaKey(t))
	host, hostPublic := newKey(t)
	m := serveMore(t, host, &ssh.ServerConfig{
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoRSA},
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if authorized(key) != authorized(public) {
				return nil, errRefused
			}
			return nil, nil
		},
	})
	info := newInfo(t, m.port(), private, hostPublic)
	opts := quick(connector.DialOptions{})
	ctx, enough := retries(t, 1, &opts)
	var refused *connector.AuthError
	if _, err := connector.Dial(ctx, info, opts); !errors.As(err, &refused) || !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if err := runOnce(t.Context(), info, quick(connector.DialOptions{LegacyAlgorithms: true}), connector.RunOptions{Command: "true"}); err != nil {
		t.Errorf("with LegacyAlgorithms: %v", err)
	}
}

// TestPasswordNeedsAHostKey: whoever answers at the address of a machine whose host key is unknown does not learn the password.
func TestPasswordNeedsAHostKey(t *testing.T) {
	host, hostPublic := newKey(t)
	key, _ := newKey(t)
	var passwords []string
	learn := func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		passwords = append(passwords, string(password))
		return nil, nil
	}
	ask := func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := challenge("", "", []string{"Password:"}, []bool{false})
		passwords = append(passwords, answers...)
		return nil, err
	}
	pin := func(string) error { return nil }
	for name, c := range map[string]struct {
		opts   connector.DialOptions
		change func(*provider.ConnectInfo)
		sent   bool
		err    error
	}{
		"unknown":              {opts: connector.DialOptions{PinHostKey: pin}, err: connector.ErrPasswordOnly},
		"unknown, with a key":  {opts: connector.DialOptions{PinHostKey: pin}, change: func(i *provider.ConnectInfo) { i.Key = key }, err: errRefused},
		"unknown, but allowed": {opts: connector.DialOptions{PinHostKey: pin, PasswordWithoutHostKey: true}, sent: true},
		"insecure":             {opts: connector.DialOptions{Insecure: true}, sent: true},
		"known":                {change: func(i *provider.ConnectInfo) { i.HostKeys = []string{authorized(hostPublic)} }, sent: true},
	} {
		for method, config := range map[string]*ssh.ServerConfig{
			"password": {PasswordCallback: learn}, "keyboard-interactive": {KeyboardInteractiveCallback: ask},
		} {
			t.Run(name+"/"+method, func(t *testing.T) {
				passwords = nil
				info := newInfo(t, serveMore(t, host, config).port(), nil)
				info.Password = testPassword
				if c.change != nil {
					c.change(&info)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				opts := quick(c.opts)
				opts.OnRetry = func(error) { cancel(errRefused) }
				err := runOnce(ctx, info, opts, connector.RunOptions{Command: "true"})
				if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("got %v", err)
				}
				var refused *connector.AuthError
				if errors.As(err, &refused) && (!refused.Withheld || !strings.Contains(err.Error(), "not the password, because the host key is unknown")) {
					t.Errorf("it does not say that the password was withheld: %v", err)
				}
				if sent := len(passwords) > 0; sent != c.sent {
					t.Errorf("the server has learnt %q", passwords)
				}
			})
		}
	}
}
