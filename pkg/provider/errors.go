package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// FailureKind classifies a provider's failure; see the constants.
type FailureKind = failure.Kind

// Failure is a failure as it travels and as the core reads it; see FailureOf.
type Failure = failure.Failure

// The kinds of failure a provider can report.
const (
	KindTransient = failure.Transient
	KindNotFound  = failure.NotFound
	KindCapacity  = failure.Capacity
	KindQuota     = failure.Quota
	KindThrottled = failure.Throttled
	KindConfig    = failure.Config
	KindUnhealthy = failure.Unhealthy
)

// Errors of the fleeting model that plugins return as they are.
var (
	ErrInstanceUnhealthy         = errors.New("instance is unhealthy")
	ErrSuspendResumeNotSupported = errors.New("suspend and resume are not supported by this provider")
)

// ErrAway is in the chain of an error that is only the absence of the plugin (it died, hangs or is being relaunched): the call may or may
// not have reached the provider, and nothing was learned about any instance.
var ErrAway = errors.New("the provider plugin is away")

// Error is a failure with its kind.
type Error struct {
	Kind       FailureKind
	RetryAfter time.Duration // with KindThrottled: when to come back; 0: not said
	Err        error
}

// Errorf builds an *Error of the given kind; the rest is as for fmt.Errorf.
func Errorf(kind FailureKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Error is the text of the wrapped error, with the kind before it.
func (e *Error) Error() string { return e.Kind.String() + ": " + e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of err: FailureNone for nil, the kind of the first *Error in its chain, KindUnhealthy for ErrInstanceUnhealthy,
// else KindTransient.
func KindOf(err error) FailureKind {
	var e *Error
	switch {
	case err == nil:
		return failure.None
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, ErrInstanceUnhealthy):
		return KindUnhealthy
	}
	return KindTransient
}

// FailureOf turns err into the form that the pure rooms read.
func FailureOf(err error) failure.Failure {
	if err == nil {
		return failure.Failure{}
	}
	f := failure.Failure{Kind: KindOf(err), Message: err.Error()}
	var e *Error
	if errors.As(err, &e) {
		f.RetryAfter = e.RetryAfter
	}
	if errors.Is(err, context.Canceled) {
		f.Message = "cancelled: " + f.Message
	}
	return f
}
