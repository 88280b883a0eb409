package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/failure"
)

// FailureKind says what a failure means. The Kind constants list the values.
type FailureKind = failure.Kind

// Failure is a failure as data: its kind, when to call again, and its text. FailureOf makes one from an error.
type Failure = failure.Failure

// The kinds of failure that a provider can report.
const (
	KindTransient = failure.Transient // the outcome is unknown: try again soon
	KindNotFound  = failure.NotFound  // the provider does not know this instance
	KindCapacity  = failure.Capacity  // the provider has no machine to give now (stock-out)
	KindQuota     = failure.Quota     // a limit of the account or of the group is reached
	KindThrottled = failure.Throttled // too many calls; Error.RetryAfter says when to call again
	KindConfig    = failure.Config    // permanent until the configuration or a permission changes
	KindUnhealthy = failure.Unhealthy // this instance must not be used any more
)

// Errors that plugins of the fleeting model return.
var (
	ErrInstanceUnhealthy         = errors.New("instance is unhealthy")
	ErrSuspendResumeNotSupported = errors.New("suspend and resume are not supported by this provider")
)

// ErrAway is in the chain of an error when the plugin is away: it died, hangs, or is being started again. The call may or may not have
// reached the provider. The error says nothing about any instance.
var ErrAway = errors.New("the provider plugin is away")

// Error is a failure with its kind.
type Error struct {
	Kind       FailureKind
	RetryAfter time.Duration // with KindThrottled: how long to wait before the next call; 0: unknown
	Err        error         // what went wrong, for people; required
}

// Errorf returns an *Error of the given kind. The other arguments are those of fmt.Errorf; %w works.
func Errorf(kind FailureKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Error returns the kind, a colon and the text of Err. A nil *Error and one without Err have the text of a failure without a reason.
func (e *Error) Error() string {
	switch {
	case e == nil:
		return KindTransient.String() + ": no reason was given"
	case e.Err == nil:
		return e.Kind.String() + ": no reason was given"
	}
	return e.Kind.String() + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// KindOf returns the kind of err: failure.None for nil, the kind of the first *Error in its chain, KindUnhealthy for
// ErrInstanceUnhealthy, and KindTransient for every other error.
func KindOf(err error) FailureKind {
	var e *Error
	switch {
	case err == nil:
		return failure.None
	case errors.As(err, &e) && e != nil:
		return e.Kind
	case errors.Is(err, ErrInstanceUnhealthy):
		return KindUnhealthy
	}
	return KindTransient
}

// CheckID returns nil if id can be the id of an instance or of a group: 1 to 512 bytes of printable UTF-8 with more than spaces. Else the error says
// what is wrong, to be put after a noun, as in "is empty". The manager leaves out an instance whose id cannot be used.
func CheckID(id string) error { return safetext.CheckName(id) }

// FailureOf turns err into data. The zero value stands for nil. The message is one line of at most 512 bytes, in which control characters are
// escaped.
func FailureOf(err error) failure.Failure {
	if err == nil {
		return failure.Failure{}
	}
	f := failure.Failure{Kind: KindOf(err), Message: err.Error()}
	var e *Error
	if errors.As(err, &e) && e != nil {
		f.RetryAfter = e.RetryAfter
	}
	if errors.Is(err, context.Canceled) {
		f.Message = "cancelled: " + f.Message
	}
	f.Message = safetext.Line(f.Message, safetext.MaxMessage)
	return f
}
