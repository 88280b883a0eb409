package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Errors of an info or options that cannot work. They are not retried.
var (
	// ErrNoAddress says that the provider gave neither an internal nor an external address.
	ErrNoAddress = errors.New("the instance has neither an internal nor an external address: check the provider's network settings")
	// ErrNoUsername says that nobody said as whom to log in.
	ErrNoUsername = errors.New("no username to log in with: set username in connector_config")
	// ErrUnpinned says that there is nothing to check the machine's host key against.
	ErrUnpinned = errors.New("no host key is known, none may be pinned, and insecure is not set: refusing to connect unchecked")
	// ErrClosed is the cause of a LostError after Close.
	ErrClosed = errors.New("the connection was closed by this side")
	// ErrKeepalive is the cause of a LostError when the machine stopped answering.
	ErrKeepalive = errors.New("the machine stopped answering keepalives")
)

// UnsupportedProtocolError is a protocol that this version does not speak.
type UnsupportedProtocolError struct {
	Protocol provider.Protocol
}

// Error says what to do instead.
func (e *UnsupportedProtocolError) Error() string {
	switch e.Protocol {
	case provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
		return fmt.Sprintf("protocol %q is not built yet: set protocol = \"ssh\" in connector_config and run an SSH server on the machine", e.Protocol)
	}
	return fmt.Sprintf("unknown protocol %q: connector_config knows ssh", e.Protocol)
}

// ConnectError says that no connection came about.
type ConnectError struct {
	Address  string        // host:port that was dialled
	Attempts int           // how often
	Elapsed  time.Duration // from first to last
	Last     error         // why the last attempt failed; nil if none was finished
	Cause    error         // why no further attempt was made: the timeout or the context's cause; nil if the last failure was final
}

// Error tells the last cause, and the reason for giving up.
func (e *ConnectError) Error() string {
	msg := "connect to " + e.Address + ": "
	switch {
	case e.Cause == nil:
		return fmt.Sprintf("%s%v", msg, e.Last)
	case e.Last == nil:
		return fmt.Sprintf("%s%v", msg, e.Cause)
	}
	return fmt.Sprintf("%s%v (%d attempts in %s); the last failure: %v", msg, e.Cause, e.Attempts, e.Elapsed.Round(time.Millisecond), e.Last)
}

// Unwrap returns the last failure and the reason for giving up.
func (e *ConnectError) Unwrap() []error { return []error{e.Last, e.Cause} }

// timeoutError is the cause of a ConnectError that used up its time. It is a deadline error for errors.Is.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no connection within the timeout of %s", e.after)
}
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// AuthError says that the machine's identity was right but it did not let us in. A machine that boots may do so until its keys are
// installed, so it is retried like any other failure and ends up as the last failure of a ConnectError.
type AuthError struct {
	Username string
	Methods  []string // what we could offer: "publickey", "password"
	Err      error
}

// Error names the user and what was offered, never the secret.
func (e *AuthError) Error() string {
	offered := "nothing"
	if len(e.Methods) > 0 {
		offered = strings.Join(e.Methods, " and ")
	}
	return fmt.Sprintf("login as %q refused (offered %s); check username, key and password of connector_config and whether the image "+
		"installs the key: %v", e.Username, offered, e.Err)
}

// Unwrap returns the server's refusal.
func (e *AuthError) Unwrap() error { return e.Err }

// KeyError says that the private key cannot be used. It never contains the key.
type KeyError struct {
	Reason string
}

// Error says what is wrong with the key.
func (e *KeyError) Error() string { return "private key of connector_config: " + e.Reason }

// HostKeyError says that another key answered than the one that is pinned.
type HostKeyError struct {
	Address   string
	Presented string   // type and SHA256 fingerprint; only the offered types when it has no key of a pinned type
	Pinned    []string // type and SHA256 fingerprint of each
}

// Error says what may have happened and what to do.
func (e *HostKeyError) Error() string {
	return fmt.Sprintf("host key of %s does not match: it presents %s, pinned is %s; the machine was rebuilt, or another one answers at its address: "+
		"remove the instance; if its key was changed on purpose, forget the pinned one", e.Address, e.Presented, strings.Join(e.Pinned, " or "))
}

func fingerprint(k ssh.PublicKey) string { return k.Type() + " " + ssh.FingerprintSHA256(k) }

// ExitError says that the command ran and failed.
type ExitError struct {
	code   int
	signal string
	stderr string
}

// NewExitError is for other implementations of Client and for tests. signal is empty or a name without SIG ("KILL").
func NewExitError(code int, signal string) *ExitError { return &ExitError{code: code, signal: signal} }

// ExitCode is the exit status; 128 plus the signal's number when a signal ended the command (128 for a signal without a number).
func (e *ExitError) ExitCode() int { return e.code }

// Signal is the name of the signal that ended the command, without SIG, or "".
func (e *ExitError) Signal() string { return e.signal }

// Error tells status and signal.
func (e *ExitError) Error() string {
	msg := fmt.Sprintf("the command exited with status %d", e.code)
	if e.signal != "" {
		msg = fmt.Sprintf("the command was ended by signal %s (status %d)", e.signal, e.code)
	}
	if e.stderr != "" {
		msg += ": " + e.stderr
	}
	return msg
}

// LostError says that the connection went while a command ran: its exit status is unknown and it may still be running.
type LostError struct {
	Started bool  // false: the server had not confirmed the start yet
	Err     error // ErrKeepalive, ErrClosed, or what the network said
}

// Error says what is not known.
func (e *LostError) Error() string {
	if !e.Started {
		return fmt.Sprintf("connection lost before the command was started: %v", e.Err)
	}
	return fmt.Sprintf("connection lost while the command ran, its exit status is unknown: %v", e.Err)
}

// Unwrap returns why the connection went.
func (e *LostError) Unwrap() error { return e.Err }

// CancelError says that the context of Run ended before the command did.
type CancelError struct {
	Cause error // context.Cause of it
	Ended bool  // whether the remote command was seen to end; if not, its machine should not be trusted with another one
}

// Error tells the cause, and whether something may be left.
func (e *CancelError) Error() string {
	if e.Ended {
		return fmt.Sprintf("command cancelled: %v", e.Cause)
	}
	return fmt.Sprintf("command cancelled, but it may still run on the machine: %v", e.Cause)
}

// Unwrap returns the cause.
func (e *CancelError) Unwrap() error { return e.Cause }
