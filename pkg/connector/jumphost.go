package connector

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

// JumpHost is an SSH server that connections to instances go through, as with ProxyJump of OpenSSH.
type JumpHost struct {
	Address  string // a host, or host:port; without a port: 22
	Username string
	Key      secret.Text // the private key to log in with, in PEM form and without a passphrase (see DecryptKey)
	// HostKeys are the keys that are accepted from the jump host, in authorized_keys form or as ssh-keyscan prints them. At least one is needed: unlike an
	// instance, a jump host is never taken for what answers first.
	HostKeys []string
}

// Check returns a *JumpError if the settings cannot work with opts. It does not connect.
func (j JumpHost) Check(opts DialOptions) error {
	_, err := newHop(j, opts, 0)
	return err
}

// newHop returns the dialer for the connection to the jump host.
func newHop(j JumpHost, opts DialOptions, keepalive hopKeepalive) (*sshDialer, error) {
	address, err := joinPort(j.Address, sshPort)
	if err != nil {
		return nil, &JumpError{Address: j.Address, Err: fmt.Errorf("%w: correct proxy_jump in connector_config", err), final: true}
	}
	fail := func(err error) (*sshDialer, error) {
		return nil, &JumpError{Address: address, Err: err, final: true}
	}
	d := &sshDialer{address: address, user: j.Username, dial: opts.Dial, log: opts.Logger, limits: opts.limits, also: allowedBy(opts)}
	if d.user == "" {
		return fail(errors.New("there is no user to log in as: write proxy_jump = \"USER@HOST\" in connector_config"))
	}
	if len(j.HostKeys) == 0 {
		return fail(fmt.Errorf("its host key is not known: %s", hostKeyRemedy(address)))
	}
	if d.keys, err = newHostKeys(address, j.HostKeys, DialOptions{LegacyAlgorithms: opts.LegacyAlgorithms, GroupExchange: opts.GroupExchange}); err != nil {
		return fail(fmt.Errorf("%w: correct proxy_jump_host_key in connector_config", err))
	}
	if j.Key.Empty() {
		return fail(errors.New("there is no private key to log in with: set proxy_jump_key_path in connector_config"))
	}
	signer, err := parseKey([]byte(j.Key.Reveal()), d.also.legacy)
	if err != nil {
		return fail(err)
	}
	d.auth, d.authNames = []ssh.AuthMethod{ssh.PublicKeys(signer)}, []string{"publickey"}
	d.complete()
	d.keepalive = keepalive.of(d.limits)
	d.log = d.log.With("jump_host", address)
	return d, nil
}

const sshPort = 22

// hostKeyRemedy says how to find out the host key of a jump host.
func hostKeyRemedy(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "22"
	}
	return fmt.Sprintf("run ssh-keyscan -t ed25519 -p %s %s, compare the key with the one on the jump host, and set proxy_jump_host_key in connector_config to that line", port, host)
}

// jumpKeys replaces the keys of the configuration in the reason of a KeyError, which are those of the instances.
var jumpKeys = strings.NewReplacer("key_passphrase_path or key_passphrase", "proxy_jump_key_passphrase_path",
	"key_passphrase, or the file of key_passphrase_path", "the file of proxy_jump_key_passphrase_path")

// JumpError means that the jump host, or the way to it, failed. It says nothing about an instance. So it does not unwrap: a changed host key in Err is the jump
// host's, and not that of an instance.
type JumpError struct {
	Address string // host:port of the jump host
	Err     error  // why

	final bool // waiting does not change it
}

// Timeout implements net.Error. What a time-out of the jump host means differs from what one of an instance means, so it is never one.
func (e *JumpError) Timeout() bool { return false }

// Temporary implements net.Error.
func (e *JumpError) Temporary() bool { return !e.final }

// Error names the jump host, says what it did, and ends with what to do.
func (e *JumpError) Error() string {
	var hostKey *HostKeyError
	var login *AuthError
	var key *KeyError
	switch {
	case errors.As(e.Err, &key):
		return fmt.Sprintf("the private key for the jump host %s (proxy_jump_key_path in connector_config, or else key_path) cannot be used: %s", e.Address, jumpKeys.Replace(key.Reason))
	case errors.As(e.Err, &hostKey):
		return fmt.Sprintf("the jump host %s presents the host key %s, but %s is known: it was installed again, or another machine answers at its address. %s", e.Address,
			hostKey.Presented, strings.Join(hostKey.Pinned, " or "), "If it was changed on purpose, "+hostKeyRemedy(e.Address))
	case errors.As(e.Err, &login):
		return fmt.Sprintf("the jump host %s refused the key of user %q: check the user in proxy_jump and proxy_jump_key_path in connector_config, and authorized_keys on the "+
			"jump host: %v", e.Address, login.Username, login.Err)
	}
	if isNetwork(e.Err) {
		return fmt.Sprintf("the jump host %s cannot be reached: check that it runs, and proxy_jump in connector_config: %v", e.Address, e.Err)
	}
	return fmt.Sprintf("the jump host %s failed: %v", e.Address, e.Err)
}

// beyondError means that the jump host works, and cannot connect to the instance.
type beyondError struct {
	jump, address string
	err           error
	late          bool // no answer in time
}

func (e *beyondError) Error() string {
	return fmt.Sprintf("the jump host %s cannot connect to %s: %v", e.jump, e.address, e.err)
}
func (e *beyondError) Unwrap() error { return e.err }
func (e *beyondError) Timeout() bool { return e.late }
