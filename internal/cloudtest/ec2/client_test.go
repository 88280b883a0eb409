package ec2

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// client is the smallest client that signs its requests. That the server verifies signatures as AWS does is shown by AWS's own clients.
type client struct {
	t      *testing.T
	url    string
	region string
	key    string
	c      Credential
}

func newClient(t *testing.T, s *Server) *client {
	t.Helper()
	s.mu.Lock()
	key, c := s.account.first()
	s.mu.Unlock()
	return &client{t: t, url: s.URL(), region: s.cfg.Region, key: key, c: c}
}

// started starts a server that ends with the test, and returns a client of it.
func started(t *testing.T, cfg Config) (*Server, *client) {
	t.Helper()
	s, err := start(cfg, recorder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, newClient(t, s)
}

// try asks for an action. Params are name, value, name, value …
func (c *client) try(service, action string, params ...string) (int, []byte, error) {
	c.t.Helper()
	form := url.Values{"Action": {action}, "Version": {serviceOf(service).version}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return c.send(r, service, []byte(form.Encode()))
}

// post asks for an action of EC2 Instance Connect.
func (c *client) post(action string, in any) (int, []byte, error) {
	c.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url, strings.NewReader(string(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSEC2InstanceConnectService."+action)
	return c.send(r, serviceConnect, body)
}

func (c *client) send(r *http.Request, service string, body []byte) (int, []byte, error) {
	now := time.Now().UTC()
	sig := signature{key: c.key, date: now.Format("20060102"), region: c.region, service: service, headers: []string{"content-type", "host", "x-amz-date"}}
	r.Header.Set("X-Amz-Date", now.Format(timeFormat))
	if c.c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.c.Token)
		sig.headers = append(sig.headers, "x-amz-security-token")
	}
	r.Host = r.URL.Host
	sum := sig.sign(r, body, c.c.Secret)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
		c.key, sig.date, c.region, service, strings.Join(sig.headers, ";"), sum))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// must asks for an action that must succeed, and decodes the answer into out (nil: it is not needed).
func (c *client) must(out any, service, action string, params ...string) {
	c.t.Helper()
	status, body, err := c.try(service, action, params...)
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("%s: status %d, error %v: %s", action, status, err, body)
	}
	if out == nil {
		return
	}
	if service != serviceEC2 {
		start := strings.Index(string(body), "<"+action+"Result>")
		end := strings.Index(string(body), "<ResponseMetadata>")
		if start < 0 {
			c.t.Fatalf("%s: no result in %s", action, body)
		}
		body = body[start:end]
	}
	if err := xml.Unmarshal(body, out); err != nil {
		c.t.Fatalf("%s: %v: %s", action, err, body)
	}
}

// refusedWith asks for an action that must fail with an error code, and returns the message.
func (c *client) refusedWith(status int, code, service, action string, params ...string) string {
	c.t.Helper()
	got, body, err := c.try(service, action, params...)
	if err != nil {
		c.t.Fatal(err)
	}
	var e struct {
		Error  apiAnswer
		Errors struct{ Error apiAnswer }
	}
	if err := xml.Unmarshal(body, &e); err != nil {
		c.t.Fatalf("%s: %v: %s", action, err, body)
	}
	if e.Error.Code == "" {
		e.Error = e.Errors.Error
	}
	if got != status || e.Error.Code != code {
		c.t.Fatalf("%s: want status %d and code %s, got %d: %s", action, status, code, got, body)
	}
	return e.Error.Message
}

type apiAnswer struct{ Code, Message string }

// group describes a group.
func (c *client) group(name string) groupXML {
	c.t.Helper()
	var out describeGroupsOutput
	c.must(&out, serviceAutoScaling, "DescribeAutoScalingGroups", "AutoScalingGroupNames.member.1", name)
	if len(out.Groups.List) != 1 {
		c.t.Fatalf("%d groups have the name %s", len(out.Groups.List), name)
	}
	return out.Groups.List[0]
}

// clock is a clock that a test turns.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time           { return c.at }
func (c *clock) forward(by time.Duration) { c.at = c.at.Add(by) }
