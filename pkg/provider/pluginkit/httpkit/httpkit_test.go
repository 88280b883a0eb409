package httpkit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit/httpkit"
)

// api answers /STATUS with that status.
func api(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		fmt.Fprint(w, "the reason\n is ", strings.Repeat("long ", 1000))
	}))
	t.Cleanup(server.Close)
	return server
}

func TestCheck(t *testing.T) {
	server := api(t)
	for status, want := range map[int]provider.FailureKind{
		301: provider.KindConfig, 400: provider.KindConfig, 401: provider.KindConfig, 403: provider.KindConfig, 422: provider.KindConfig, 402: provider.KindQuota,
		404: provider.KindNotFound, 410: provider.KindNotFound, 408: provider.KindTransient, 409: provider.KindTransient, 423: provider.KindTransient, 425: provider.KindTransient,
		429: provider.KindThrottled, 500: provider.KindTransient, 502: provider.KindTransient, 503: provider.KindTransient, 599: provider.KindTransient,
	} {
		resp, err := http.Get(server.URL + fmt.Sprintf("/%d?token=hush", status))
		if err != nil {
			t.Fatal(err)
		}
		err = httpkit.Check(resp)
		resp.Body.Close()
		f := provider.FailureOf(err)
		if f.Kind != want || (f.RetryAfter == 7*time.Second) != (status == 429) {
			t.Errorf("%d is %+v", status, f)
		}
		if text := err.Error(); strings.Contains(text, "hush") || len(text) > 400 || !strings.Contains(text, "the reason is long") || !strings.Contains(text, fmt.Sprintf("GET %s/%d answered %d", server.URL, status, status)) {
			t.Errorf("%d says %s", status, text)
		}
	}
	resp, err := http.Get(server.URL + "/204")
	if err != nil || httpkit.Check(resp) != nil {
		t.Errorf("204 is %v", err)
	}
	resp.Body.Close()
	if err := httpkit.Check(&http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody}); err == nil || !strings.Contains(err.Error(), "the API answered 500") {
		t.Errorf("an answer without its request: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, " 30 ": 30 * time.Second, "-5": 0, "soon": 0, "1.5": 0, "99999999999999999999": 0, "9000000000": 24 * time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0, now.Add(9999 * time.Hour).Format(http.TimeFormat): 24 * time.Hour,
	} {
		if got := httpkit.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestError(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	trusted := httptest.NewTLSServer(nil)
	defer trusted.Close()
	trusted.Config.ErrorLog = nil
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		url  string
		want provider.FailureKind
	}{
		"nobody listens":    {t.Context(), closed.URL, provider.KindTransient},
		"not trusted":       {t.Context(), trusted.URL, provider.KindConfig},
		"the context ended": {ended, closed.URL, provider.KindTransient},
	} {
		req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.url+"/machines?token=hush", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			t.Fatalf("%s: no error", name)
		}
		got := httpkit.Error(err)
		if provider.KindOf(got) != c.want || strings.Contains(got.Error(), "hush") || !strings.Contains(got.Error(), "POST "+c.url+"/machines:") {
			t.Errorf("%s: %v", name, got)
		}
		if c.ctx == ended && !errors.Is(got, context.Canceled) {
			t.Errorf("%s: the cause is lost: %v", name, got)
		}
	}
	if httpkit.Error(nil) != nil {
		t.Error("no error is an error")
	}
	quota := fmt.Errorf("create: %w", provider.Errorf(provider.KindQuota, "full"))
	if got := httpkit.Error(quota); provider.KindOf(got) != provider.KindQuota {
		t.Errorf("the kind is lost: %v", got)
	}
}

func TestLimit(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer server.Close()
	client := &http.Client{Transport: httpkit.Limit(nil, 0.001, 2)}
	defer client.CloseIdleConnections()
	do := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL+"/?token=hush", io.NopCloser(strings.NewReader("x")))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return httpkit.Error(err)
	}
	for range 2 {
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Minute) // the next call may be made in a quarter of an hour
	defer cancel()
	ended, end := context.WithCancel(t.Context())
	end()
	for _, ctx := range []context.Context{soon, ended} {
		if err := do(ctx); provider.KindOf(err) != provider.KindThrottled || strings.Contains(err.Error(), "hush") || calls.Load() != 2 {
			t.Errorf("a call over the limit: %v, %d arrived", err, calls.Load())
		}
	}
	if httpkit.Limit(nil, 0, 1) != http.DefaultTransport {
		t.Error("no limit is a limit")
	}
}
