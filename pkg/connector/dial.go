package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// sshDialer holds what is needed to connect to one instance, any number of times.
type sshDialer struct {
	address   string
	user      string
	auth      []ssh.AuthMethod
	authNames []string
	withheld  bool // the password, because the host key is unknown
	keys      *hostKeys
	also      allowed
	jump      *jump    // nil: none
	dial      DialFunc // through jump
	log       *slog.Logger
	limits    *limits
	windows   bool
	keepalive time.Duration // <= 0: none

	noSFTP atomic.Bool // the server has none
}

func newSSHDialer(info provider.ConnectInfo, opts DialOptions) (*sshDialer, error) {
	opts.Logger = opts.logOf(info.ID)
	address, err := endpoint(info, opts.UseExternalAddr)
	if err != nil {
		return nil, fmt.Errorf("instance %q: %w", info.ID, err)
	}
	if info.Username == "" {
		return nil, fmt.Errorf("instance %q: %w", info.ID, ErrNoUsername)
	}
	jump, err := newJump(opts, info.Keepalive)
	if err != nil {
		return nil, fmt.Errorf("instance %q: %w", info.ID, err)
	}
	d := &sshDialer{address: address, user: info.Username, jump: jump, dial: jump.through(opts.Dial), log: opts.Logger, limits: opts.limits,
		windows: isWindows(info.OS), keepalive: info.Keepalive, also: allowedBy(opts)}
	if d.keys, err = newHostKeys(address, info.HostKeys, opts); err != nil {
		return nil, fmt.Errorf("instance %q at %s: %w", info.ID, address, err)
	}
	login := info.ConnectorConfig
	if login.Password != "" && !d.keys.known() && !opts.Insecure && !opts.PasswordWithoutHostKey {
		if login.Password, d.withheld = "", true; len(login.Key) == 0 {
			return nil, fmt.Errorf("instance %q at %s: %w", info.ID, address, ErrPasswordOnly)
		}
	}
	if d.auth, d.authNames, err = authMethods(login, d.also.legacy); err != nil {
		return nil, fmt.Errorf("instance %q: %w", info.ID, err)
	}
	d.complete()
	d.log = d.log.With("address", address)
	return d, nil
}

// complete fills in the defaults.
func (d *sshDialer) complete() {
	if d.dial == nil {
		d.dial = new(net.Dialer).DialContext
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.limits == nil {
		d.limits = defaultLimits()
	}
	if d.keepalive == 0 {
		d.keepalive = d.limits.keepalive
	}
}

// dialSSH retries until it succeeds, cannot succeed, or has used up its time.
func dialSSH(ctx context.Context, info provider.ConnectInfo, opts DialOptions) (Client, error) {
	d, err := newSSHDialer(info, opts)
	if err != nil {
		return nil, err
	}
	client, err := connect(ctx, retrier{d.address, info.Timeout, d.limits, d.log, opts.OnRetry}, d.attempt)
	if err != nil {
		d.jump.close()
		return nil, err
	}
	d.log.Debug("logged in", "server", string(client.ServerVersion()))
	return newSSHClient(d, client), nil
}

// final reports whether err is a failure that waiting does not change.
func final(err error) bool {
	var hostKey *HostKeyError
	var pin *pinError
	var legacy *LegacyError
	var certificate *CertificateError
	var way *JumpError
	return errors.As(err, &way) && way.final || errors.As(err, &hostKey) || errors.As(err, &pin) || errors.As(err, &legacy) || errors.As(err, &certificate)
}

// attempt connects once. It has a time limit of its own: a server that accepts and does not answer must not use up the whole timeout.
func (d *sshDialer) attempt(ctx context.Context) (*ssh.Client, error) {
	if err := d.jump.ready(ctx); err != nil { // it has a time limit of its own
		return nil, err
	}
	limit := d.limits.attempt
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &handshakeTimeoutError{"SSH handshake", limit})
	defer cancel()
	conn, err := d.dial(ctx, "tcp", d.address)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	// A handshake is ended by closing the connection, not by a deadline: a connection of DialOptions.Dial may not support deadlines.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := d.handshake(conn)
	if !stop() { // it was, or is being, closed under us
		if err == nil {
			_ = client.Close()
		}
		return nil, causeOf(ctx, err)
	}
	return client, err
}

// causeOf returns err, or if ctx has ended the cause of that, because err is then only its consequence.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if err == nil || errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

// handshake does the key exchange and logs in. It owns conn: it closes it on failure.
func (d *sshDialer) handshake(conn net.Conn) (*ssh.Client, error) {
	var trusted atomic.Bool // the key exchange is done and the host key is accepted
	d.keys.begin()
	config := &ssh.ClientConfig{
		User: d.user, Auth: d.auth, HostKeyAlgorithms: d.keys.algorithms(), ClientVersion: "SSH-2.0-taskscaler",
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := d.keys.check(host, remote, key)
			trusted.Store(err == nil)
			return err
		},
	}
	setAlgorithms(&config.Config, d.also)
	c, channels, requests, err := ssh.NewClientConn(conn, d.address, config)
	if err == nil {
		d.keys.settle()
		return ssh.NewClient(c, channels, requests), nil
	}
	_ = conn.Close()
	if mismatch := d.keys.negotiation(err); mismatch != nil {
		return nil, mismatch
	}
	if err = heard(err); trusted.Load() && !isNetwork(err) {
		return nil, &AuthError{Username: d.user, Methods: d.authNames, Withheld: d.withheld, Err: err}
	}
	return nil, err
}

// isNetwork reports whether err comes from a broken connection, and not from a server that refused.
func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe)
}
