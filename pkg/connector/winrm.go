package connector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/taskscaler/taskscaler/internal/winrm"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// WinRMOptions says what is particular to WinRM. The zero value logs in with NTLM, which never sends the password, and runs commands with cmd.exe.
type WinRMOptions struct {
	// Shell runs the commands. Empty: cmd.exe.
	Shell WinRMShell
	// Auth is the way to log in. Empty: NTLM; over https also Basic, if the server offers only that.
	Auth WinRMAuth
	// CA are certificates in PEM form. The server's certificate must be signed by one of them, or be one of them, and must be for the address that is
	// dialled. Empty: see the package documentation.
	CA []byte
	// Insecure accepts any certificate, unless one is pinned or CA is set, and allows Basic without TLS, which shows the password and every job to the
	// network.
	Insecure bool
}

// WinRMShell runs the commands of an instance that is reached over WinRM.
type WinRMShell string

// The shells.
const (
	WinRMCmd        WinRMShell = "cmd"
	WinRMPowerShell WinRMShell = "powershell" // Windows PowerShell, without its profile
)

// WinRMAuth is a way to log in over WinRM.
type WinRMAuth string

// The ways to log in. Without TLS, NTLM also encrypts every message.
const (
	WinRMNTLM  WinRMAuth = "ntlm"
	WinRMBasic WinRMAuth = "basic"
)

// methods returns the ways to log in that may be used. withheld says that Basic may not be, because the certificate is unknown.
func (o WinRMOptions) methods(https, withheld bool) ([]winrm.Method, error) {
	switch {
	case o.Auth == WinRMBasic && !https && !o.Insecure:
		return nil, ErrPlainBasic
	case o.Auth == WinRMBasic && withheld:
		return nil, errBasicOnly
	case o.Auth == WinRMBasic:
		return []winrm.Method{winrm.Basic}, nil
	case o.Auth == "" && https && !withheld:
		return []winrm.Method{winrm.NTLM, winrm.Basic}, nil
	case o.Auth == "" || o.Auth == WinRMNTLM:
		return []winrm.Method{winrm.NTLM}, nil
	}
	return nil, &SettingError{Reason: fmt.Sprintf("unknown way to log in over WinRM %q: set winrm_auth in connector_config to ntlm or basic", o.Auth)}
}

// winrmDialer holds what is needed to connect to one instance, any number of times.
type winrmDialer struct {
	address  string
	config   winrm.Config
	shell    WinRMShell
	trust    *certificates // nil: without TLS
	withheld bool          // Basic, because the certificate is unknown
	jump     *jump         // nil: none
	log      *slog.Logger
	limits   *limits
}

func newWinRMDialer(info provider.ConnectInfo, opts DialOptions, https bool) (*winrmDialer, error) {
	opts.Logger = opts.logOf(info.ID)
	address, err := endpoint(info, opts.UseExternalAddr)
	if err != nil {
		return nil, fmt.Errorf("instance %q: %w", info.ID, err)
	}
	fail := func(err error) (*winrmDialer, error) {
		return nil, fmt.Errorf("instance %q at %s: %w", info.ID, address, err)
	}
	d := &winrmDialer{address: address, shell: opts.WinRM.Shell, log: opts.Logger, limits: opts.limits}
	if d.limits == nil {
		d.limits = defaultLimits()
	}
	switch {
	case info.Username == "":
		return fail(ErrNoUsername)
	case info.Password == "":
		return fail(ErrNoPassword)
	case d.shell == "":
		d.shell = WinRMCmd
	case d.shell != WinRMCmd && d.shell != WinRMPowerShell:
		return fail(&SettingError{Reason: fmt.Sprintf("unknown shell %q: set winrm_shell in connector_config to cmd or powershell", d.shell)})
	}
	if d.jump, err = newJump(opts, info.Keepalive); err != nil {
		return fail(err)
	}
	every := info.Keepalive
	if every <= 0 { // requests always have a limit
		every = d.limits.keepalive
	}
	d.config = winrm.Config{
		Address: address, Dial: d.jump.through(opts.Dial), Username: info.Username, Password: secret.New(info.Password),
		Poll: every, Answer: every * time.Duration(d.limits.missed),
	}
	if https {
		if d.trust, err = newCertificates(address, info.HostKeys, opts); err != nil {
			return fail(err)
		}
		d.config.TLS = &tls.Config{
			ServerName: d.trust.host, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: true, VerifyConnection: d.trust.verify, // verify does all of it
		}
		d.withheld = !d.trust.known() && !opts.PasswordWithoutHostKey && !opts.Insecure && !opts.WinRM.Insecure
	}
	if d.config.Methods, err = opts.WinRM.methods(https, d.withheld); err != nil {
		return fail(err)
	}
	if d.config.Dial == nil {
		d.config.Dial = new(net.Dialer).DialContext
	}
	d.log = d.log.With("address", address)
	return d, nil
}

// dialWinRM retries until it succeeds, cannot succeed, or has used up its time.
func dialWinRM(ctx context.Context, info provider.ConnectInfo, opts DialOptions, https bool) (Client, error) {
	d, err := newWinRMDialer(info, opts, https)
	if err != nil {
		return nil, err
	}
	client, err := connect(ctx, retrier{d.address, info.Timeout, d.limits, d.log, opts.OnRetry}, d.attempt)
	if err != nil {
		d.jump.close()
		return nil, err
	}
	return newWinRMClient(d, client), nil
}

// attempt connects once: it logs in, and makes and deletes a shell, because an account may log in and have no right to a shell. It has a time limit of
// its own: a server that accepts and does not answer must not use up the whole timeout.
func (d *winrmDialer) attempt(ctx context.Context) (*winrm.Client, error) {
	if err := d.jump.ready(ctx); err != nil { // it has a time limit of its own
		return nil, err
	}
	limit := d.limits.attempt
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &handshakeTimeoutError{"answer of WinRM", limit})
	defer cancel()
	if d.trust != nil {
		d.trust.begin()
	}
	client := winrm.New(d.config)
	shell, err := client.CreateShell(ctx, nil)
	if err == nil {
		err = client.DeleteShell(ctx, shell)
	}
	if err != nil {
		client.Close()
		return nil, d.explain(err)
	}
	if d.trust != nil {
		d.trust.settle()
	}
	return client, nil
}

const (
	winrmLogin  = "check username, password and winrm_auth in connector_config, and that WinRM on the instance allows this method"
	winrmRights = "the account has no right to a remote shell: make it a member of Administrators or of Remote Management Users on the instance"
)

// explain gives an error of package winrm its type of this package.
func (d *winrmDialer) explain(err error) error {
	var login *winrm.LoginError
	var fault *winrm.Fault
	var late *winrm.NoAnswerError
	switch {
	case errors.As(err, &login):
		return &AuthError{Username: d.config.Username, Methods: d.methods(), Withheld: d.withheld, Err: err, remedy: winrmLogin}
	case errors.As(err, &fault) && fault.Code == winrm.CodeAccessDenied:
		return &AuthError{Username: d.config.Username, Methods: d.methods(), Err: err, remedy: winrmRights}
	case errors.As(err, &fault):
		return &RefusedError{Address: d.address, Err: err}
	case errors.As(err, &late):
		return fmt.Errorf("%w: %w", ErrKeepalive, err)
	case errors.Is(err, winrm.ErrClosed):
		return ErrClosed
	}
	return err
}

func (d *winrmDialer) methods() (names []string) {
	for _, m := range d.config.Methods {
		names = append(names, string(m))
	}
	return names
}
