package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/internal/faultproxy"
	"github.com/taskscaler/taskscaler/internal/faultproxy/httpgroup"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// handle is a group in this process.
type handle struct {
	group *httpgroup.Group
	info  provider.ProviderInfo
}

func (h *handle) Open(ctx context.Context, s provider.Settings) (conformance.Handle, error) {
	info, err := h.group.Init(ctx, hclog.NewNullLogger(), s)
	h.info = info
	return h, err
}
func (h *handle) Group() provider.InstanceGroup   { return h.group }
func (h *handle) Info() provider.ProviderInfo     { return h.info }
func (h *handle) Close(ctx context.Context) error { return h.group.Shutdown(ctx) }

// begin starts a cloud, a proxy before it, and a client that knows only what Env says.
func begin(t *testing.T, secure bool) (*faultproxy.Proxy, *httpgroup.Group) {
	t.Helper()
	server := httptest.NewUnstartedServer(&httpgroup.Cloud{})
	base := "http://cloud.test"
	if secure {
		server.StartTLS()
		base = "https://cloud.test"
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- the certificate of httptest
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server.Listener.Addr().String())
	}
	p, err := faultproxy.Start(t.TempDir(), faultproxy.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	env := map[string]string{}
	for _, kv := range p.Env() {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	via, err := url.Parse(env["HTTPS_PROXY"])
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(env["SSL_CERT_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(via), TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(c.CloseIdleConnections)
	return p, &httpgroup.Group{Client: c, Base: base}
}

// TestFaults: each habit that is wrong fails the checks of its faults, and no others; a client without one passes, over HTTP and HTTPS.
func TestFaults(t *testing.T) {
	for habit, want := range map[string][]string{
		"":               nil,
		"no kinds":       {"api-unauthorized", "api-forbidden", "api-not-found"},
		"wrong pause":    {"api-throttled"},
		"no pause":       nil,
		"no error":       {"api-down", "api-unauthorized", "api-forbidden", "api-not-found", "api-throttled", "api-broken", "api-slow", "api-half", "list-complete"},
		"half an answer": {"api-half", "list-complete"},
		"condemns":       {"api-down", "api-unauthorized", "api-forbidden", "api-not-found", "api-throttled", "api-broken", "api-slow", "api-half"},
		"counts all":     {"api-down", "api-unauthorized", "api-forbidden", "api-not-found", "api-throttled", "api-broken", "api-slow"},
		"no context":     {"calls-return"},
		"late context":   {"api-slow"},
	} {
		t.Run(habit, func(t *testing.T) {
			t.Parallel()
			for _, secure := range []bool{true, false} {
				if !secure && habit != "" {
					continue
				}
				p, c := begin(t, secure)
				c.Habit = habit
				o := conformance.Options{Live: true, API: p, Timeout: time.Minute, Poll: 50 * time.Millisecond, Give: 2 * time.Second,
					Only: []string{"calls-return", "list-complete"}}
				for _, check := range conformance.Checks() {
					if strings.HasPrefix(check.ID, "api-") {
						o.Only = append(o.Only, check.ID)
					}
				}
				r := conformance.Run(t.Context(), &handle{group: c}, o)
				for _, res := range r.Results {
					if res.Status == conformance.Fail || res.Took > 3*time.Second {
						t.Logf("%s: %s %s %v %s", res.ID, res.Status, res.Reason, res.Findings, res.Took)
					}
				}
				if got := r.Failed(); !slices.Equal(got, want) {
					t.Errorf("secure %v: failed %q, want %q", secure, got, want)
				}
			}
		})
	}
}

// TestProxyIsTransparent: without a fault requests and answers pass as they are, and a fault that has ended leaves nothing behind.
func TestProxyIsTransparent(t *testing.T) {
	for _, secure := range []bool{false, true} {
		p, c := begin(t, secure)
		for _, f := range []conformance.APIFault{"", conformance.APIDown, conformance.APISlow, conformance.APIHalf, conformance.APIThrottled} {
			if f != "" {
				p.Break(f)
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				if err := c.Do(ctx, http.MethodPost, "/", new(string)); err == nil {
					t.Errorf("%s: no error", f)
				}
				cancel()
				p.Mend()
			}
			n := p.Requests()
			var ids []string
			if err := c.Do(t.Context(), http.MethodGet, "/", &ids); err != nil {
				t.Fatalf("after %q: %v", f, err)
			}
			if p.Requests() != n+1 {
				t.Errorf("%d requests, want 1", p.Requests()-n)
			}
			if want := 0; f != conformance.APIHalf && f != conformance.APIThrottled && len(ids) != want {
				t.Errorf("after %q the cloud has %q: a request passed that should not", f, ids)
			}
		}
	}
}

// TestOnlyAProxy: a request that is for the proxy itself is refused.
func TestOnlyAProxy(t *testing.T) {
	p, _ := begin(t, false)
	env := p.Env()
	at := slices.IndexFunc(env, func(s string) bool { return strings.HasPrefix(s, "http_proxy=") })
	resp, err := http.Get(strings.TrimPrefix(env[at], "http_proxy="))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("this is a proxy")) || err != nil {
		t.Errorf("%s %s %v", resp.Status, body, err)
	}
}

// TestClientWithABodyLeaves: a request with a body is seen to end when its client leaves, while the API stays silent.
func TestClientWithABodyLeaves(t *testing.T) {
	for _, secure := range []bool{false, true} {
		p, g := begin(t, secure)
		p.Break(conformance.APISlow)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.Base+"/", strings.NewReader("Action=DescribeGroups&Version=1"))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			resp, err := g.Client.Do(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			done <- err
		}()
		await := func(n int) {
			t.Helper()
			for end := time.Now().Add(time.Minute); p.Open() != n; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("secure %v: %d requests are open, want %d", secure, p.Open(), n)
				}
			}
		}
		await(1)
		cancel()
		if err := <-done; err == nil {
			t.Error("the silent API answered")
		}
		await(0)
	}
}
