package connector

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// Finding is what a contact with an instance says about it.
type Finding uint8

// The findings. A later one weighs more.
const (
	// FindingNone: nothing is wrong with the instance, or only this host or the jump host is at fault.
	FindingNone Finding = iota
	// FindingDoubtful: the instance did not answer in time, or what is left of a command on it could not be ended. Either it or this host may
	// be overloaded. Use it for no new job, and leave its other jobs alone.
	FindingDoubtful
	// FindingUnusable: the instance, or the network in front of it, answered that it cannot be used.
	FindingUnusable
	// FindingChangedHostKey: another host key than the known one.
	FindingChangedHostKey
)

// FindingOf returns what an error of Dial, or of a method of its Client, says about the instance. One error alone does not condemn an instance:
// the caller may have caused it. See [Examine].
func FindingOf(err error) Finding {
	var way *JumpError
	var hostKey *HostKeyError
	var connect *ConnectError
	var cancelled *CancelError
	var exit *ExitError
	var long *CommandTooLongError
	var text *CommandTextError
	var tunnel *NoTunnelError
	var copied *CopyError
	if errors.As(err, &copied) && !aboutInstance(copied) {
		return FindingNone // a path, a permission or a disk
	}
	switch {
	case err == nil, errors.As(err, &way), errors.As(err, &long), errors.As(err, &text), errors.As(err, &tunnel), errors.Is(err, ErrClosed):
		return FindingNone
	case errors.As(err, &hostKey):
		return FindingChangedHostKey
	case errors.As(err, &connect):
		if connect.Last == nil {
			return ofCause(connect.Cause)
		}
		return ofCause(connect.Last) // the end of the time for retries is not the failure
	case errors.As(err, &cancelled):
		if cancelled.Ended || !cancelled.Sent {
			return FindingNone
		}
		return FindingDoubtful
	case errors.As(err, &exit):
		if exit.Unseen() {
			return FindingDoubtful
		}
		return FindingNone
	}
	return ofCause(err)
}

// aboutInstance reports whether a failed copy says anything about the instance.
func aboutInstance(err error) bool {
	var lost *LostError
	var refused *RefusedError
	var cancelled *CancelError
	var exit *ExitError
	return errors.As(err, &lost) || errors.As(err, &refused) || errors.As(err, &cancelled) || errors.As(err, &exit)
}

// ofCause returns what a failure of the network or of the server says.
func ofCause(err error) Finding {
	var name *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case isLocal(err), errors.Is(err, context.Canceled):
		return FindingNone
	case errors.As(err, &name) && !name.IsNotFound:
		return FindingNone // the resolver does not work
	case name != nil, errors.Is(err, ErrKeepalive), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return FindingDoubtful
	}
	return FindingUnusable
}

// isLocal reports whether err is a failure of this host or of our settings, so that it says nothing about the instance.
func isLocal(err error) bool {
	var protocol *UnsupportedProtocolError
	var key *KeyError
	var setting *SettingError
	if errors.As(err, &protocol) || errors.As(err, &key) || errors.As(err, &setting) {
		return true
	}
	for _, own := range ownFailures() {
		if errors.Is(err, own) {
			return true
		}
	}
	for _, own := range []error{ErrNoAddress, ErrNoUsername, ErrUnpinned, ErrPasswordOnly, ErrNoPassword, ErrPlainBasic} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// ownFailures are the failures of the host that connects.
func ownFailures() []syscall.Errno {
	return []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETDOWN,
		syscall.EACCES, syscall.EPERM}
}
