package httpkit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	maxText  = 200            // bytes of an answer in an error
	maxRetry = 24 * time.Hour // a longer Retry-After is not believed
)

// Kind returns what an HTTP status means, when nothing else is known. It returns KindTransient for what may succeed later and for an unknown outcome: 5xx,
// 408, 409 (another change runs) and 425. An API that says more in its body, such as a code for "out of stock" or "quota reached", must be asked first.
func Kind(status int) provider.FailureKind {
	switch status {
	case http.StatusNotFound, http.StatusGone:
		return provider.KindNotFound
	case http.StatusTooManyRequests:
		return provider.KindThrottled
	case http.StatusPaymentRequired:
		return provider.KindQuota
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusLocked:
		return provider.KindTransient
	}
	if status >= 300 && status < 500 { // 401, 403: permissions; 400, 422: values; 3xx: another address
		return provider.KindConfig
	}
	return provider.KindTransient
}

// Check returns nil for an answer of 2xx. Else it reads the beginning of the body and returns a *provider.Error with the kind, the time of Retry-After for
// KindThrottled, and a text that says which call was refused, without the query of its URL. The caller closes the body.
func Check(resp *http.Response) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	kind := Kind(resp.StatusCode)
	e := &provider.Error{Kind: kind, Err: errors.New(said(resp))}
	if kind == provider.KindThrottled {
		e.RetryAfter = RetryAfter(resp.Header, time.Now())
	}
	return e
}

// said describes an answer in one line.
func said(resp *http.Response) string {
	what := "the API answered"
	if r := resp.Request; r != nil && r.URL != nil {
		what = fmt.Sprintf("%s %s answered", r.Method, bareURL(r.URL))
	}
	what += " " + strconv.Itoa(resp.StatusCode)
	if name := http.StatusText(resp.StatusCode); name != "" {
		what += " " + name
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxText)) // a body that breaks off says something too
	if text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "")), " "); text != "" {
		what += ": " + text
	}
	return what
}

// RetryAfter returns the time of the header Retry-After, in seconds or as a date, and 0 if there is none that can be used. At most it is 24 hours.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(time.Duration(min(max(seconds, 0), int(maxRetry/time.Second)))*time.Second, maxRetry)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetry)
	}
	return 0
}

// Error gives an error of http.Client.Do its kind: KindConfig for a certificate that is not trusted, KindTransient for everything else, because it is not known whether the API got the request. An error that has a kind keeps it. The text does not have the query of the URL,
// which may be a secret. nil stays nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		where, _, _ := strings.Cut(sent.URL, "?")
		if u, parsed := url.Parse(sent.URL); parsed == nil {
			where = bareURL(u)
		}
		err = fmt.Errorf("%s %s: %w", strings.ToUpper(sent.Op), where, sent.Err)
	}
	var kind *provider.Error
	if errors.As(err, &kind) {
		return err
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return &provider.Error{Kind: provider.KindConfig, Err: err}
	}
	return &provider.Error{Kind: provider.KindTransient, Err: err}
}

// bareURL returns the address without a login, a query and a fragment.
func bareURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
