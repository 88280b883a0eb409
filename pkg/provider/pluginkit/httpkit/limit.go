package httpkit

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Limit returns a transport that makes at most perSecond calls in a second, and at most burst at once. Each call waits for its turn, at most until the end of
// its context. A call that would wait for longer returns at once with an error of KindThrottled: it asked nothing of the API. base nil is
// http.DefaultTransport. perSecond 0 or less means no limit. All clients of one account should share one transport.
func Limit(base http.RoundTripper, perSecond float64, burst int) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	if perSecond <= 0 {
		return base
	}
	return &limited{base, rate.NewLimiter(rate.Limit(perSecond), max(burst, 1))}
}

type limited struct {
	base    http.RoundTripper
	limiter *rate.Limiter
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.limiter.Wait(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper must
		}
		if cause := context.Cause(r.Context()); cause != nil {
			err = cause
		}
		return nil, &provider.Error{Kind: provider.KindThrottled, Err: fmt.Errorf("no call was left within the limit of the rate: %w", err)}
	}
	return l.base.RoundTrip(r)
}

// CloseIdleConnections closes those of the transport below.
func (l *limited) CloseIdleConnections() {
	if c, ok := l.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
