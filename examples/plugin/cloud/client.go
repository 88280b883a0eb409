package cloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit/httpkit"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

const (
	maxAnswer = 16 << 20 // bytes
	perSecond = 50       // calls, for all of this client
	burst     = 25
)

// Client calls the API. It is safe for concurrent use.
type Client struct {
	endpoint string
	token    secret.Text
	http     *http.Client
}

// CheckEndpoint returns what is wrong with the URL of the API, to be put after its key, or nil.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("must be a URL such as https://api.example.com/v1, without a login and a query")
	}
	return nil
}

// NewClient returns a client. timeout is that of one call; 0: 30 seconds.
func NewClient(endpoint string, token secret.Text, timeout time.Duration) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone() // a connection of its own, which Close closes
	return &Client{
		endpoint: strings.TrimSuffix(endpoint, "/"), token: token,
		http: &http.Client{Transport: httpkit.Limit(transport, perSecond, burst), Timeout: cmp.Or(timeout, 30*time.Second)},
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// page is one page of a list.
type page struct {
	Machines []Machine `json:"machines"`
	More     bool      `json:"more"`
}

// List returns all machines with these labels, or an error.
func (c *Client) List(ctx context.Context, labels pluginkit.Labels) ([]Machine, error) {
	return pluginkit.NumberedPages(ctx, func(ctx context.Context, number int) ([]Machine, bool, error) {
		var p page
		query := url.Values{"labels": {labels.Selector()}, "page": {strconv.Itoa(number)}}
		err := c.call(ctx, http.MethodGet, "/machines?"+query.Encode(), nil, &p)
		if provider.KindOf(err) == provider.KindNotFound { // not a machine, but the list: the endpoint is wrong
			err = provider.Errorf(provider.KindConfig, "the API has no machines at this endpoint: %w", err)
		}
		return p.Machines, p.More, err
	})
}

// Get returns one machine.
func (c *Client) Get(ctx context.Context, id string) (m Machine, err error) {
	err = c.call(ctx, http.MethodGet, "/machines/"+url.PathEscape(id), nil, &m)
	return m, err
}

// Create asks for a machine, and does not wait until it runs.
func (c *Client) Create(ctx context.Context, spec Spec) error {
	return c.call(ctx, http.MethodPost, "/machines", spec, nil)
}

// Delete asks to remove a machine.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/machines/"+url.PathEscape(id), nil, nil)
}

// call sends in as JSON, if it is not nil, and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return httpkit.Error(err)
	}
	defer resp.Body.Close()
	if err := refusal(resp); err != nil || out == nil {
		return err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", method, req.URL.Path, err)
	}
	return nil
}

// codes are the API's own codes that say more than the HTTP status. They tell a stock-out from a quota and from a fault of the configuration.
var codes = map[string]provider.FailureKind{
	"out_of_stock":   provider.KindCapacity,
	"quota_exceeded": provider.KindQuota,
}

// refusal returns the error of an answer, with its kind: first by the API's code, else by the status.
func refusal(resp *http.Response) error {
	if resp.StatusCode < 400 {
		return httpkit.Check(resp)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	var said struct{ Code, Message string }
	if err == nil && json.Unmarshal(raw, &said) == nil {
		if kind, known := codes[said.Code]; known {
			return provider.Errorf(kind, "%s", said.Message)
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return httpkit.Check(resp)
}
