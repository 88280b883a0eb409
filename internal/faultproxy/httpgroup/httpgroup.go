// Package httpgroup is a group of an HTTP API for tests of package faultproxy: a cloud, and a plugin for it that can have one wrong habit.
package httpgroup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Cloud is an API with machines that run at once.
type Cloud struct {
	mu       sync.Mutex
	last     int
	machines []string
}

// ServeHTTP answers one request.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// Group is a group that uses the cloud over HTTP, with one habit that is wrong.
type Group struct {
	Base  string `json:"base"`  // the URL of the cloud
	Habit string `json:"habit"` // empty: none

	Client *http.Client `json:"-"` // nil: one that does what the environment says
}

var (
	_ provider.InstanceGroup = (*Group)(nil)
	_ provider.Heartbeater   = (*Group)(nil)
)

// Init implements provider.InstanceGroup.
func (c *Group) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "http", MaxSize: 100}, nil
}

func (c *Group) client() *http.Client {
	if c.Client == nil {
		return http.DefaultClient
	}
	return c.Client
}

// Do makes a request and decodes its answer.
func (c *Group) Do(ctx context.Context, method, path string, into any) error {
	if c.Habit == "late context" { // it returns, and its request goes on
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

func (c *Group) send(ctx context.Context, method, path string, into any) error {
	if c.Habit == "no context" {
		ctx = context.WithoutCancel(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := c.kind(resp); err != nil {
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil && c.Habit != "half an answer" {
		return err
	}
	return nil
}

func (c *Group) kind(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case c.Habit == "blind":
		return nil
	case code == http.StatusOK:
		return nil
	case code == http.StatusTooManyRequests:
		e := provider.Errorf(provider.KindThrottled, "%s", resp.Status)
		switch c.Habit {
		case "no pause":
		case "wrong pause":
			e.RetryAfter = time.Hour
		default:
			e.RetryAfter, _ = time.ParseDuration(resp.Header.Get("Retry-After") + "s")
		}
		return e
	case code/100 == 4 && c.Habit != "no kinds":
		return provider.Errorf(provider.KindConfig, "%s", resp.Status)
	}
	return errors.New(resp.Status)
}

// Update implements provider.InstanceGroup.
func (c *Group) Update(ctx context.Context, update func(string, provider.State)) error {
	var ids []string
	err := c.Do(ctx, http.MethodGet, "/", &ids)
	if c.Habit == "no error" {
		err = nil
	}
	for _, id := range ids {
		update(id, provider.StateRunning)
	}
	return err
}

// Increase implements provider.InstanceGroup.
func (c *Group) Increase(ctx context.Context, n int) (done int, err error) {
	for done < n {
		var ok string
		if err := c.Do(ctx, http.MethodPost, "/", &ok); err != nil {
			if c.Habit == "counts all" {
				return n, err
			}
			return done, err
		}
		done++
	}
	return done, nil
}

// Decrease implements provider.InstanceGroup.
func (c *Group) Decrease(ctx context.Context, ids []string) (done []string, err error) {
	for _, id := range ids {
		var ok string
		if err := c.Do(ctx, http.MethodDelete, "/"+id, &ok); err != nil {
			return done, err
		}
		done = append(done, id)
	}
	return done, nil
}

// ConnectInfo implements provider.InstanceGroup.
func (c *Group) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	var ids []string
	if err := c.Do(ctx, http.MethodGet, "/", &ids); err != nil {
		return provider.ConnectInfo{}, err
	}
	if !slices.Contains(ids, id) {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindNotFound, "no machine %s", id)
	}
	return provider.ConnectInfo{ID: id, InternalAddr: "10.0.0.1"}, nil
}

// Heartbeat implements provider.Heartbeater.
func (c *Group) Heartbeat(ctx context.Context, id string) error {
	_, err := c.ConnectInfo(ctx, id)
	if err != nil && c.Habit == "condemns" && provider.KindOf(err) != provider.KindNotFound {
		return provider.Errorf(provider.KindUnhealthy, "%w", err)
	}
	return err
}

// Shutdown implements provider.InstanceGroup.
func (c *Group) Shutdown(context.Context) error { return nil }
