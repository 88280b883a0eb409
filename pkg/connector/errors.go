package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// The first four are errors of Dial that are not retried, the others are causes of a LostError.
var (
	// ErrNoAddress means that ConnectInfo has neither an internal nor an external address.
	ErrNoAddress = errors.New("the instance has neither an internal nor an external address: check the provider's network settings")
	// ErrNoUsername means that ConnectInfo has no username.
	ErrNoUsername = errors.New("no username to log in with: set username in connector_config")
	// ErrUnpinned means that the host key cannot be verified: see DialOptions.PinHostKey and Insecure.
	ErrUnpinned = errors.New("refusing to connect without host key verification: no host key is known, none can be pinned, and insecure is not set")
	// ErrPasswordOnly means that only a password could log in, and that the host key is not known: see DialOptions.PasswordWithoutHostKey.
	ErrPasswordOnly = errors.New("the password is not sent to a machine whose host key is unknown: log in with a key (key_path), let the plugin report host " +
		"keys, or set password_without_host_key = true in connector_config")
	// ErrClosed means that this side called Close.
	ErrClosed = errors.New("the connection was closed by this side")
	// ErrKeepalive means that the instance stopped answering keepalives.
	ErrKeepalive = errors.New("the machine stopped answering keepalives")
)

// maxCommand is the longest command line that is sent, in bytes. Linux takes no longer argument (MAX_ARG_STRLEN, 128 KiB with the final zero),
// and OpenSSH's server closes the whole connection over a request of 256 KiB, which would end every other command on it.
const maxCommand = 128<<10 - 1

// CommandTooLongError means that a command line is longer than servers take. Nothing was sent, and the connection is as it was.
type CommandTooLongError struct {
	Bytes int // of the command line, with what Run adds to it; over WinRM characters
	Limit int

	shell WinRMShell // empty: over SSH
}

// Error names both lengths and says what to do instead.
func (e *CommandTooLongError) Error() string {
	if e.shell != "" {
		return fmt.Sprintf("the command line has %d characters in the form that %s gets, and at most %d can be sent over WinRM: write long arguments to the "+
			"command's stdin or into a file", e.Bytes, e.shell, e.Limit)
	}
	return fmt.Sprintf("the command line has %d bytes, and at most %d can be sent: write long arguments to the command's stdin or into a file", e.Bytes, e.Limit)
}

// checkLength is nil for a command line that can be sent.
func checkLength(command string) error {
	if len(command) > maxCommand {
		return &CommandTooLongError{Bytes: len(command), Limit: maxCommand}
	}
	return nil
}

// UnsupportedProtocolError means that the protocol is not known.
type UnsupportedProtocolError struct {
	Protocol provider.Protocol
}

// Error names the protocol and says which ones there are.
func (e *UnsupportedProtocolError) Error() string {
	return fmt.Sprintf("unknown protocol %q: set protocol in connector_config to ssh, winrm or winrm+https", e.Protocol)
}

// ConnectError means that Dial could not connect.
type ConnectError struct {
	Address  string        // host:port that was dialled
	Attempts int           // how many attempts were begun
	Elapsed  time.Duration // from the first attempt to the last
	Last     error         // why the last attempt failed; nil if no attempt was completed
	Cause    error         // why no further attempt was made: the timeout or the context's cause; nil if a retry could not help
}

// Error returns the last failure and why no further attempt was made.
func (e *ConnectError) Error() string {
	msg := "connect to " + e.Address + ": "
	switch {
	case e.Cause == nil:
		return fmt.Sprintf("%s%v", msg, e.Last)
	case e.Last == nil:
		return fmt.Sprintf("%s%v", msg, e.Cause)
	}
	return fmt.Sprintf("%s%v (%s in %s); the last failure: %v", msg, e.Cause, words.Count(e.Attempts, "attempt"), words.Span(e.Elapsed), e.Last)
}

// Unwrap returns the last failure and the reason for giving up.
func (e *ConnectError) Unwrap() []error { return []error{e.Last, e.Cause} }

// timeoutError is the cause of a ConnectError after ConnectInfo.Timeout. For errors.Is it is a context.DeadlineExceeded.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no connection within the timeout of %s", words.Span(e.after))
}
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// handshakeTimeoutError is the cause of an attempt that took too long.
type handshakeTimeoutError struct {
	what  string
	after time.Duration
}

func (e *handshakeTimeoutError) Error() string {
	return fmt.Sprintf("no %s within %s", e.what, words.Span(e.after))
}
func (e *handshakeTimeoutError) Timeout() bool   { return true }
func (e *handshakeTimeoutError) Temporary() bool { return true }

// AuthError means that the host key was accepted and the server refused the login. An instance that boots may do so until its keys are
// installed, so Dial retries it, and returns it as the last failure of a ConnectError.
type AuthError struct {
	Username string
	Methods  []string // the methods that were offered: "publickey", "password"; over WinRM "ntlm", "basic"
	Withheld bool     // there is a password, and it was not offered, because the host key is unknown: see DialOptions.PasswordWithoutHostKey
	Err      error    // the server's refusal

	remedy string // empty: the one for SSH
}

// Error names the user and the methods, never a secret.
func (e *AuthError) Error() string {
	offered := "nothing"
	if len(e.Methods) > 0 {
		offered = strings.Join(e.Methods, " and ")
	}
	if e.Withheld {
		offered += ", not the password, because the host key is unknown and password_without_host_key is not set"
	}
	remedy := e.remedy
	if remedy == "" {
		remedy = "check username, key and password in connector_config, and that the image installs the key"
	}
	return fmt.Sprintf("login as %q refused (offered %s): %s: %v", e.Username, offered, remedy, e.Err)
}

// Unwrap returns Err.
func (e *AuthError) Unwrap() error { return e.Err }

// KeyError means that the private key cannot be used. It never contains the key.
type KeyError struct {
	Reason string // what is wrong, and what to do
}

// Error returns the reason.
func (e *KeyError) Error() string { return "private key of connector_config: " + e.Reason }

// HostKeyError means that the host key differs from the pinned one.
type HostKeyError struct {
	Address   string
	Presented string   // type and SHA256 fingerprint; only the offered types if there is no key of a pinned type
	Pinned    []string // type and SHA256 fingerprint of each pinned key
}

// Error names both keys, the possible reasons, and what to do.
func (e *HostKeyError) Error() string {
	return fmt.Sprintf("host key of %s does not match: it presents %s, but %s is pinned; the machine was rebuilt, or another machine answers at its "+
		"address: remove the instance, or, if its key was changed on purpose, the pinned key", e.Address, e.Presented, strings.Join(e.Pinned, " or "))
}

func fingerprint(k ssh.PublicKey) string { return k.Type() + " " + ssh.FingerprintSHA256(k) }

// heardError is an error with words of a server in it, which may be of any length.
type heardError struct{ err error }

// heard bounds the words of an error. A nil stays nil.
func heard(err error) error {
	if err == nil || len(err.Error()) <= safetext.MaxMessage {
		return err
	}
	return &heardError{err}
}

func (e *heardError) Error() string { return safetext.Line(e.err.Error(), safetext.MaxMessage) }
func (e *heardError) Unwrap() error { return e.err }

// maxSignal bounds what a message shows of the name of a signal, which the server may choose.
const maxSignal = 64

// ExitError means that the command ran and failed.
type ExitError struct {
	code   int
	signal string
	stderr string
	unseen bool
}

// NewExitError returns an ExitError, for other implementations of Client and for tests. signal is a name without SIG ("KILL"), or empty.
func NewExitError(code int, signal string) *ExitError { return &ExitError{code: code, signal: signal} }

// ExitCode returns the exit code. If a signal ended the command, it is 128 plus the signal's number, or 128 if the number is unknown.
func (e *ExitError) ExitCode() int { return e.code }

// Unseen reports whether there was no sign that the server's shell had read the command: the process id, which Run asks for first, was not in
// the output. An account without a shell ends every command so. A server that drops stderr looks the same.
func (e *ExitError) Unseen() bool { return e.unseen }

// Signal returns the name of the signal that ended the command, without SIG, or "".
func (e *ExitError) Signal() string { return e.signal }

// Error returns the exit code or the signal, and for DialRun the end of stderr.
func (e *ExitError) Error() string {
	msg := fmt.Sprintf("the command exited with status %d", e.code)
	if e.signal != "" {
		msg = fmt.Sprintf("the command was ended by signal %s (status %d)", safetext.Line(e.signal, maxSignal), e.code)
	}
	if e.stderr != "" {
		msg += ": " + e.stderr
	}
	return msg
}

// RefusedError means that the server, after the login, refused a session (on new connections too), a terminal or the command. The command certainly did not run.
type RefusedError struct {
	Address string
	Command bool  // the command was refused; else the session
	Err     error // the server's words; nil: it said none

	Terminal bool // RunOptions.PTY was refused
}

// Error says what was refused, and never quotes the command.
func (e *RefusedError) Error() string {
	switch {
	case e.Command && e.Err != nil:
		return fmt.Sprintf("%s refused to run the command: %v", e.Address, e.Err)
	case e.Command:
		return e.Address + " refused to run the command"
	case e.Terminal && e.Err != nil:
		return fmt.Sprintf("%s gives no terminal: %v", e.Address, e.Err)
	case e.Terminal:
		return e.Address + " gives no terminal (PermitTTY of sshd)"
	}
	return fmt.Sprintf("%s refuses another session on this connection: %v", e.Address, e.Err)
}

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }

// LostError means that the connection was lost while a command ran. Its exit status is unknown, and it may still be running.
type LostError struct {
	Started bool  // false: the server had not confirmed the start
	Sent    bool  // false: the command had not been sent, so it certainly does not run
	Err     error // ErrKeepalive, ErrClosed, or an error of the network

	during string // what it was, if it was no command
	remains
}

// Error says whether the command had been started, and why the connection was lost.
func (e *LostError) Error() string {
	switch {
	case e.during != "":
		return fmt.Sprintf("connection lost %s: %v", e.during, e.Err)
	case e.Started:
		return fmt.Sprintf("connection lost while the command ran, its exit status is unknown: %v", e.Err)
	case e.Sent:
		return fmt.Sprintf("connection lost while the command was being started, it may run: %v", e.Err)
	}
	return fmt.Sprintf("connection lost before the command was started: %v", e.Err)
}

// Unwrap returns Err.
func (e *LostError) Unwrap() error { return e.Err }

// CancelError means that Run ended the command before it was finished: its context ended, or one of its streams failed.
type CancelError struct {
	Cause error // the cause of the context, or the error of the stream
	Ended bool  // whether the end of the remote command was observed; if not, do not run another job on the instance
	Sent  bool  // false: the command had not been sent, so it certainly did not run

	remains
}

// remains is what may be left of a command whose end was not observed.
type remains struct {
	pid   int    // of its process group; 0: unknown
	shell string // the id of its shell, over WinRM; empty: unknown, or none
}

// End ends what is left of the command, over c, a new connection to the same instance. It returns nil if c runs commands and nothing of the
// command is left, as far as its processes are known. So it also shows whether the instance still works.
func (r remains) End(ctx context.Context, c Client) error {
	if r.shell != "" {
		of, ok := c.(shellDeleter)
		if !ok {
			return errors.New("the connection cannot end a shell of WinRM")
		}
		return of.deleteShell(ctx, r.shell)
	}
	command := "exit 0"
	if r.pid > 0 {
		l := defaultLimits()
		command = endScript(r.pid, l.grace, l.settle)
	}
	return c.Run(ctx, RunOptions{Command: command, Unwrapped: true})
}

// Error returns the cause, and says whether the command may still run.
func (e *CancelError) Error() string {
	if e.Ended {
		return fmt.Sprintf("command cancelled: %v", e.Cause)
	}
	return fmt.Sprintf("command cancelled, but it may still run on the machine: %v", e.Cause)
}

// Unwrap returns the cause.
func (e *CancelError) Unwrap() error { return e.Cause }
