package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/internal/faultproxy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// cloud is an API with machines that run at once.
type cloud struct {
	mu       sync.Mutex
	last     int
	machines []string
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(c.machines)
	case r.Method == http.MethodPost:
		c.last++
		c.machines = append(c.machines, fmt.Sprintf("machine-%03d", c.last))
		_ = json.NewEncoder(w).Encode("accepted")
	case r.Method == http.MethodDelete:
		id := strings.TrimPrefix(r.URL.Path, "/")
		c.machines = slices.DeleteFunc(c.machines, func(m string) bool { return m == id })
		_ = json.NewEncoder(w).Encode("accepted")
	}
}

// client is a group that uses the cloud over HTTP, with one habit that is wrong.
type client struct {
	http  *http.Client
	base  string
	habit string
}

func (c *client) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "http", MaxSize: 100}, nil
}

func (c *client) do(ctx context.Context, method, path string, into any) error {
	if c.habit == "late context" { // it returns, and its request goes on
		done := make(chan error, 1)
		go func() { done <- c.send(context.WithoutCancel(ctx), method, path, into) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.send(ctx, method, path, into)
}

func (c *client) send(ctx context.Context, method, path string, into any) error {
	if c.habit == "no context" {
		ctx = context.WithoutCancel(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := c.kind(resp); err != nil {
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil && c.habit != "half an answer" {
		return err
	}
	return nil
}

func (c *client) kind(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case c.habit == "blind":
		return nil
	case code == http.StatusOK:
		return nil
	case code == http.StatusTooManyRequests:
		e := provider.Errorf(provider.KindThrottled, "%s", resp.Status)
		switch c.habit {
		case "no pause":
		case "wrong pause":
			e.RetryAfter = time.Hour
		default:
			e.RetryAfter, _ = time.ParseDuration(resp.Header.Get("Retry-After") + "s")
		}
		return e
	case code/100 == 4 && c.habit != "no kinds":
		return provider.Errorf(provider.KindConfig, "%s", resp.Status)
	}
	return errors.New(resp.Status)
}

func (c *client) Update(ctx context.Context, update func(string, provider.State)) error {
	var ids []string
	err := c.do(ctx, http.MethodGet, "/", &ids)
	if c.habit == "no error" {
		err = nil
	}
	for _, id := range ids {
		update(id, provider.StateRunning)
	}
	return err
}

func (c *client) Increase(ctx context.Context, n int) (done int, err error) {
	for done < n {
		var ok string
		if err := c.do(ctx, http.MethodPost, "/", &ok); err != nil {
			if c.habit == "counts all" {
				return n, err
			}
			return done, err
		}
		done++
	}
	return done, nil
}

func (c *client) Decrease(ctx context.Context, ids []string) (done []string, err error) {
	for _, id := range ids {
		var ok string
		if err := c.do(ctx, http.MethodDelete, "/"+id, &ok); err != nil {
			return done, err
		}
		done = append(done, id)
	}
	return done, nil
}

func (c *client) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	var ids []string
	if err := c.do(ctx, http.MethodGet, "/", &ids); err != nil {
		return provider.ConnectInfo{}, err
	}
	if !slices.Contains(ids, id) {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindNotFound, "no machine %s", id)
	}
	return provider.ConnectInfo{ID: id, InternalAddr: "10.0.0.1"}, nil
}

func (c *client) Heartbeat(ctx context.Context, id string) error {
	_, err := c.ConnectInfo(ctx, id)
	if err != nil && c.habit == "condemns" && provider.KindOf(err) != provider.KindNotFound {
		return provider.Errorf(provider.KindUnhealthy, "%w", err)
	}
	return err
}

func (c *client) Shutdown(context.Context) error { return nil }

// handle is a group in this process.
type handle struct {
	*client
	info provider.ProviderInfo
}

func (h *handle) Open(ctx context.Context, s provider.Settings) (conformance.Handle, error) {
	info, err := h.Init(ctx, hclog.NewNullLogger(), s)
	h.info = info
	return h, err
}
func (h *handle) Group() provider.InstanceGroup   { return h.client }
func (h *handle) Info() provider.ProviderInfo     { return h.info }
func (h *handle) Close(ctx context.Context) error { return h.Shutdown(ctx) }

// begin starts a cloud, a proxy before it, and a client that knows only what Env says.
func begin(t *testing.T, secure bool) (*faultproxy.Proxy, *client) {
	t.Helper()
	server := httptest.NewUnstartedServer(&cloud{})
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
	return p, &client{http: c, base: base}
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
				c.habit = habit
				o := conformance.Options{Live: true, API: p, Timeout: time.Minute, Poll: 50 * time.Millisecond, Give: 2 * time.Second,
					Only: []string{"calls-return", "list-complete"}}
				for _, check := range conformance.Checks() {
					if strings.HasPrefix(check.ID, "api-") {
						o.Only = append(o.Only, check.ID)
					}
				}
				r := conformance.Run(t.Context(), &handle{client: c}, o)
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
				if err := c.do(ctx, http.MethodPost, "/", new(string)); err == nil {
					t.Errorf("%s: no error", f)
				}
				cancel()
				p.Mend()
			}
			n := p.Requests()
			var ids []string
			if err := c.do(t.Context(), http.MethodGet, "/", &ids); err != nil {
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
