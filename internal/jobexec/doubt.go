package jobexec

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
)

// verdict is what a job found wrong with its instance. The zero value: nothing.
type verdict struct {
	unhealthy control.Unhealthy
	reason    string
}

// after returns the verdict after a further one: a failure that says nothing about the instance takes nothing back.
func (v verdict) after(next verdict) verdict {
	if next.unhealthy == "" {
		return v
	}
	return next
}

// verdictOf returns the verdict for a finding of the connector.
func verdictOf(found connector.Finding, err error) verdict {
	switch found {
	case connector.FindingDoubtful:
		return verdict{control.UnhealthyDoubtful, err.Error()}
	case connector.FindingUnusable:
		return verdict{control.UnhealthyUnreachable, err.Error()}
	case connector.FindingChangedHostKey:
		return verdict{control.UnhealthyChangedHostKey, err.Error()}
	}
	return verdict{}
}

// unreached judges an instance to which no connection could be made. A changed host key needs no second contact, and a failure of this host
// says nothing.
func (r *run) unreached(ctx context.Context, lease control.Lease, err error) verdict {
	switch found := connector.FindingOf(err); found {
	case connector.FindingNone, connector.FindingChangedHostKey:
		return verdictOf(found, err)
	}
	return r.doubt(ctx, lease, err)
}

// doubt judges an instance after a first contact failed: a second contact decides, which also ends what is left of the command. See
// connector.Examine.
func (r *run) doubt(ctx context.Context, lease control.Lease, failed error) verdict {
	var lost *LostLeaseError
	if errors.As(context.Cause(ctx), &lost) {
		return verdict{} // the manager knows more about the instance
	}
	info := *lease.Connect
	info.Timeout = connector.ExamineTimeout
	found, err := connector.Examine(ctx, failed, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		return r.dial(ctx, lease, info, connector.DialOptions{Dial: network})
	})
	if found != connector.FindingNone {
		r.note("instance %s gets no other job: %v", lease.Instance, err)
	}
	return verdictOf(found, err)
}

// refusedPatience is how long an instance may answer that it cannot be used. It was ready before, so the patience of a boot is not needed.
const refusedPatience = 15 * time.Second

// reach connects to the instance. It gives up early when the instance does nothing but refuse.
func (r *run) reach(ctx context.Context, lease control.Lease) (connector.Client, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	var since time.Time // of the first refusal in a row
	return r.dial(ctx, lease, *lease.Connect, connector.DialOptions{OnRetry: func(err error) {
		var way *connector.JumpError
		if errors.As(err, &way) {
			r.note("%v; trying again", way)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case connector.FindingOf(err) != connector.FindingUnusable:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= refusedPatience:
			stop(errRefuses)
		}
	}})
}

// errRefuses is why connecting ended before its time.
var errRefuses = errors.New("a ready instance answers, and refuses every connection")
