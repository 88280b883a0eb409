package connector_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestKeyTypes(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]crypto.Signer{"ed25519": ed, "ecdsa 256": ecdsaKey(t), "ecdsa 521": p521, "rsa": rsaKey(t)} {
		t.Run(name, func(t *testing.T) {
			private, public := marshalKey(t, k)
			s := startSSHD(t) // refuses rsa with SHA-1
			write(t, s.dir+"/authorized_keys", []byte(authorized(public)+"\n"))
			s.info.Key = private
			if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{}), connector.RunOptions{Command: "true"}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKeyThatCannotBeUsed(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	good, _ := newKey(t)
	for name, c := range map[string]struct{ key, want string }{
		"encrypted": {string(pem.EncodeToMemory(block)), "passphrase"},
		"no PEM":    {"hunter2-hunter2", "cannot be read"},
		"cut off":   {string(good[:len(good)/2]), "cannot be read"},
		"public":    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIhunter2", "cannot be read"},
	} {
		info := provider.ConnectInfo{InternalAddr: "127.0.0.1"}
		info.Username, info.Key = "me", []byte(c.key)
		_, err := connector.Dial(t.Context(), info, connector.DialOptions{Insecure: true})
		var bad *connector.KeyError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImpossibleInfo(t *testing.T) {
	valid := provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
	valid.Username = "me"
	for name, c := range map[string]struct {
		change func(*provider.ConnectInfo)
		want   error
	}{
		"address":  {func(i *provider.ConnectInfo) { i.InternalAddr = "" }, connector.ErrNoAddress},
		"username": {func(i *provider.ConnectInfo) { i.Username = "" }, connector.ErrNoUsername},
		"host key": {func(i *provider.ConnectInfo) {}, connector.ErrUnpinned},
	} {
		info := valid
		c.change(&info)
		if _, err := connector.Dial(t.Context(), info, connector.DialOptions{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, line := range []string{"garbage", "", "ssh-ed25519 AAAA", authorizedTwice(t)} {
		info := valid
		info.HostKeys = []string{line}
		if _, err := connector.Dial(t.Context(), info, connector.DialOptions{Insecure: true}); err == nil || !strings.Contains(err.Error(), "host key 1") {
			t.Errorf("host key %q: %v", line, err)
		}
	}
	info := valid
	info.Protocol = "telnet"
	var unsupported *connector.UnsupportedProtocolError
	if _, err := connector.Dial(t.Context(), info, connector.DialOptions{Insecure: true}); !errors.As(err, &unsupported) || unsupported.Protocol != "telnet" {
		t.Errorf("telnet: %v", err)
	}
}

func authorizedTwice(t *testing.T) string {
	_, a := newKey(t)
	_, b := newKey(t)
	return authorized(a) + "\n" + authorized(b)
}

func TestKeyboardInteractive(t *testing.T) {
	s := startInProcess(t)
	host, _ := newKey(t)
	asking := serveMore(t, host, &ssh.ServerConfig{
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Name:", "Password:"}, []bool{true, false})
			if err == nil && answers[0] == "" && answers[1] == testPassword {
				return nil, nil
			}
			return nil, errRefused
		},
	})
	info := s.info
	info.ProtocolPort, info.HostKeys, info.Key, info.Password = asking.port(), nil, nil, testPassword
	err := runOnce(t.Context(), info, quick(connector.DialOptions{Insecure: true}), connector.RunOptions{Command: "true"})
	if err != nil {
		t.Error(err)
	}
}

// TestPinnedTypeIsGone: the machine no longer has a key of the pinned type. That is a changed host key, not a failed handshake.
func TestPinnedTypeIsGone(t *testing.T) {
	s := startInProcess(t)
	_, other := marshalKey(t, ecdsaKey(t))
	s.info.HostKeys = []string{authorized(other)}
	_, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{}))
	var mismatch *connector.HostKeyError
	if !errors.As(err, &mismatch) || !strings.Contains(mismatch.Presented, "ssh-ed25519") {
		t.Errorf("got %v", err)
	}
}

// TestHostKeyOfARefusedLoginIsNotPinned: the first boot of an instance replaces the host key of its image, and lets nobody in before that.
func TestHostKeyOfARefusedLoginIsNotPinned(t *testing.T) {
	imageKey, imagePublic := newKey(t)
	image := serveMore(t, imageKey, &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errRefused }})
	booted := startInProcess(t)
	own, info := booted.info.HostKeys[0], booted.info
	info.Key, info.Password, info.HostKeys = nil, testPassword, nil
	for name, pin := range map[string]bool{"pinned": true, "insecure": false} {
		t.Run(name, func(t *testing.T) {
			var refused bool
			var seen []string
			opts := quick(connector.DialOptions{
				Insecure: !pin, PasswordWithoutHostKey: pin,
				Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					to := image.listener.Addr().String()
					if refused {
						to = booted.listener.Addr().String()
					}
					return new(net.Dialer).DialContext(ctx, network, to)
				},
				OnRetry: func(error) { refused = true },
			})
			if pin {
				opts.PinHostKey = func(key string) error { seen = append(seen, key); return nil }
			}
			if err := runOnce(t.Context(), info, opts, connector.RunOptions{Command: "true"}); err != nil {
				t.Fatal(err)
			}
			if want := []string{authorized(imagePublic), own}; pin && !slices.Equal(seen, want) {
				t.Errorf("seen %q, want %q", seen, want)
			}
		})
	}
}
