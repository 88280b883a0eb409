package connector

import (
	"context"
	"io"
	"log/slog"
	"net"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// DialFunc opens a network connection. It must return soon after ctx ends.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// DialOptions says how to connect. The zero value refuses an instance whose host key is not known.
type DialOptions struct {
	// UseExternalAddr prefers ConnectInfo.ExternalAddr to InternalAddr. If only one of them is set, that one is used.
	UseExternalAddr bool
	// Dial opens the connection to the instance, or to the jump host. Nil: a net.Dialer does.
	Dial DialFunc
	// Jump is the host that all connections to the instance go through. Nil: none. Its failures are of type *JumpError.
	Jump *JumpHost
	// PinHostKey is called if ConnectInfo.HostKeys is empty: in each attempt to connect, before authentication, with the instance's host key
	// in authorized_keys form. An attempt whose login was refused pins nothing, because the first boot of an instance may replace the key:
	// keep the key of the last call, and only if Dial succeeds. If PinHostKey returns an error, Dial fails without a retry. It is called on
	// another goroutine.
	PinHostKey func(key string) error
	// Insecure accepts any host key if no key is known and PinHostKey is nil. Known keys are verified even if Insecure is set.
	Insecure bool
	// PasswordWithoutHostKey sends ConnectInfo.Password to an instance whose host key is not known yet, so that whoever answers at its address
	// learns it. Without it (and without Insecure) the first login uses the key alone. The host key is known if ConnectInfo.HostKeys has it.
	PasswordWithoutHostKey bool
	// LegacyAlgorithms accepts SSH servers of old images: SHA-1 in key exchange, MAC and signatures, and RSA keys from 1024 bits. Without it a
	// server that has nothing better is refused with a *LegacyError, and a private key that is too short with a *KeyError.
	LegacyAlgorithms bool
	// GroupExchange accepts the key exchange diffie-hellman-group-exchange-sha256, which is the only one of some images. LegacyAlgorithms includes it.
	GroupExchange bool
	// WinRM says what is particular to instances that are reached over WinRM.
	WinRM WinRMOptions
	// Logger receives debug messages about connecting and keepalives, each with the instance. They contain no secrets. Nil: no messages.
	Logger *slog.Logger
	// OnRetry receives the error of a failed attempt to connect, before the wait for the next attempt. It may be nil.
	OnRetry func(err error)

	limits *limits // for tests; nil: the defaults
}

// Client is a connection to one instance, or several if the server limits the sessions on one. Its methods may be called from several goroutines at once.
type Client interface {
	// Run runs one command and waits until it has exited and its output is closed. See [RunOptions].
	//
	// It returns nil for exit status 0, an [*ExitError] for another status or a signal, a [*RefusedError] if the server refused it, a [*LostError] if the connection was lost and
	// the status is unknown, and a [*CancelError] if ctx ended first. After ctx has ended, Run returns as soon as the remote processes
	// are gone. If the server does not answer, it returns after 2 s. In the worst case (processes that survive KILL on a server that
	// answers slowly) it returns after 12 s. On a server that does not answer, goroutines of Run stay until Close.
	Run(ctx context.Context, opts RunOptions) error

	// DialRun starts a command and returns a connection to its stdin and stdout. The connection supports deadlines, and has the
	// method CloseWrite() error. ctx bounds only the start. If the command fails, Read returns an error with its status and the end of
	// its stderr, instead of io.EOF. The command is sent unchanged (see RunOptions.Unwrapped). Closing the connection closes the
	// command's stdin, and sends TERM if the command has not ended 2 s later.
	DialRun(ctx context.Context, command string) (net.Conn, error)

	// Dial opens a connection from the instance to addr. The network is tcp, tcp4, tcp6 or unix. ctx bounds only the time until the connection
	// is open; the connection outlives it. The error wraps a [*LostError] if the connection to the instance was lost; else the target refused.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)

	// Close closes the connection and everything that uses it: a Run in progress returns a LostError. It does not end remote commands.
	Close() error
}

// Waiter is a Client that knows when its connection ends, also while nothing uses it. Those of [Dial] over SSH do.
type Waiter interface {
	// Wait waits until the connection is lost or closed, and returns a [*LostError]. If ctx ends first, it returns the cause of ctx.
	Wait(ctx context.Context) error
}

// RunOptions describes one command.
type RunOptions struct {
	// Command is passed to the login shell of the remote user.
	Command string
	// Env are environment variables for the command. Most servers refuse most variables (see AcceptEnv of sshd); a refusal is ignored.
	// Do not put a secret into Command instead: every user of the instance can read command lines.
	Env map[string]string
	// Stdin is streamed to the command; at its end the command's stdin is closed. Nil: empty. Run does not wait for Stdin: if a Read
	// still blocks when the command ends, its goroutine stays until the Read returns, and the data are dropped. If a Read fails, the
	// command is ended, so that it never takes a part of the input for the whole.
	Stdin io.Reader
	// Stdout and Stderr receive the command's output; nil discards it. They are written from different goroutines, so they must be
	// different writers, or one that is safe for concurrent use. If a Write fails, the command is ended. No Write begins after Run has
	// returned. After a cancellation, Run waits at most 1 s for a Write that blocks.
	Stdout, Stderr io.Writer
	// PTY gives the command a terminal of the instance. Its stderr then arrives as Stdout, line ends are "\r\n", and input is echoed. At the end of Stdin,
	// the terminal gets its end-of-file character. A server without terminals refuses it ([RefusedError]). Nil: no terminal.
	PTY *PTY
	// Unwrapped sends Command unchanged. Use it for instances with a forced command or a restricted shell. A cancellation then has
	// only the signals of the SSH protocol.
	Unwrapped bool
}

// logOf returns the logger for messages about one instance.
func (o *DialOptions) logOf(instance string) *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger.With("instance", instance)
}

// Dial connects to the instance. It retries until info.Timeout (0: 10 m) has passed or ctx has ended, except for errors that waiting
// cannot change. It returns an [*UnsupportedProtocolError], [ErrNoAddress], [ErrNoUsername], [ErrUnpinned], [ErrPasswordOnly], a [*KeyError] or a
// [*JumpError] if info or opts cannot work. Otherwise it returns a [*ConnectError] that wraps the last cause, for example a [*HostKeyError], a [*LegacyError], an
// [*AuthError], or a [*JumpError] if the jump host is to blame.
func Dial(ctx context.Context, info provider.ConnectInfo, opts DialOptions) (Client, error) {
	switch p := ProtocolOf(info.ConnectorConfig); p {
	case provider.ProtocolSSH:
		return dialSSH(ctx, info, opts)
	case provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
		return dialWinRM(ctx, info, opts, p == provider.ProtocolWinRMHTTPS)
	default:
		return nil, &UnsupportedProtocolError{Protocol: p}
	}
}
