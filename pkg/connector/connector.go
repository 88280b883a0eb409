package connector

import (
	"context"
	"io"
	"log/slog"
	"net"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// DialFunc opens a network connection; it must give up when ctx ends.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// DialOptions is how to connect. The zero value refuses machines whose host key is not known.
type DialOptions struct {
	// UseExternalAddr prefers ConnectInfo.ExternalAddr over InternalAddr. If only one of them exists that one is used.
	UseExternalAddr bool
	// Dial opens the connection to the machine. Nil means a net.Dialer.
	Dial DialFunc
	// PinHostKey is called once, at first contact, with the machine's host key in authorized_keys form, when ConnectInfo.HostKeys is
	// empty. An error refuses the connection for good. It is called before authentication, during Dial, on another goroutine.
	PinHostKey func(key string) error
	// Insecure accepts any host key when there is neither a known key nor a PinHostKey. Known keys are checked even so.
	Insecure bool
	// Logger receives debug lines about connecting and keepalives, no secrets. Nil means none.
	Logger *slog.Logger
	// OnRetry is told why an attempt to connect failed, before each wait for the next one. It may be nil.
	OnRetry func(err error)

	limits *limits // for tests; nil: the defaults
}

// Client is a connection to one machine. Its methods may be called from several goroutines at once.
type Client interface {
	// Run runs one command to its end, that is until it has exited and its output is closed. See [RunOptions].
	//
	// The error is nil for exit status 0, an [*ExitError] for another status or a signal, a [*LostError] when the connection went and
	// nobody knows the status, and a [*CancelError] when ctx ended first. After the end of ctx Run returns as soon as the
	// remote processes are gone, 2 s later where the server does not answer any more, and in the worst case (processes that KILL does
	// not end, and a server that answers slowly) 12 s later. What it leaves behind on a server that does not answer goes with Close.
	Run(ctx context.Context, opts RunOptions) error

	// DialRun starts a command and makes its stdin and stdout a connection with deadlines; it has CloseWrite too. ctx bounds the start
	// only. If the command fails, Read reports its status and the end of its stderr instead of io.EOF. The command is sent as it is.
	// Close closes its stdin, which should end it; after 2 s it is sent TERM.
	DialRun(ctx context.Context, command string) (net.Conn, error)

	// Dial connects from the machine to addr. The network is tcp, tcp4, tcp6 or unix. ctx bounds only the time until the connection
	// is open; the connection outlives it.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)

	// Close ends the connection and with it what runs on it: a Run in progress returns a LostError. It does not end remote commands.
	Close() error
}

// RunOptions is one command.
type RunOptions struct {
	// Command is given to the login shell of the remote user.
	Command string
	// Env are variables for the command. Most servers refuse most of them (AcceptEnv of sshd); a refusal is ignored. Never put a secret
	// in Command instead: command lines can be read by every user of the machine.
	Env map[string]string
	// Stdin is streamed to the command, whose stdin is closed at its end. Nil means empty. Run does not wait for it: a Read that blocks
	// when the command ends stays behind, with its goroutine, until it returns, and what it reads is dropped. A failing Read ends the
	// command, so that half an input is never taken for the whole.
	Stdin io.Reader
	// Stdout and Stderr receive the command's output; nil discards it. They are written from different goroutines, and must be different
	// writers or safe for concurrent use. A failing Write ends the command. No Write begins after Run has returned; one that blocks for
	// more than 1 s after a cancellation is left behind.
	Stdout, Stderr io.Writer
	// Unwrapped sends Command exactly as it is, for machines with a forced command or a restricted shell. Cancelling then reaches no
	// further than the signals of the server do.
	Unwrapped bool
}

// Dial connects to the machine. It is retried until info.Timeout (0: 10 m) has passed or ctx has ended, except where waiting cannot help.
// Errors: [*UnsupportedProtocolError], [ErrNoAddress] and the like for an impossible info, else [*ConnectError] with the last
// cause, e.g. a [*HostKeyError] or an [*AuthError].
func Dial(ctx context.Context, info provider.ConnectInfo, opts DialOptions) (Client, error) {
	switch p := protocolOf(info.ConnectorConfig); p {
	case provider.ProtocolSSH:
		return dialSSH(ctx, info, opts)
	default: // WinRM's place
		return nil, &UnsupportedProtocolError{Protocol: p}
	}
}
