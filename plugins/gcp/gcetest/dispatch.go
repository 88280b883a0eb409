package gcetest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// call is one request while it is served. Its handler runs with Server.mu held.
type call struct {
	*Server
	method string
	vars   map[string]string
	in     proto.Message
	who    *account
	delay  time.Duration // before the answer is sent, because the model says so
	fault  *FaultSpec    // that strikes it
}

// answered is one answer, for tests.
type answered struct {
	method string
	status int
	body   []byte
}

// add puts a method into the table.
func add[In, Out proto.Message](table map[string]*method, name, permission string, f func(c *call, in In) (Out, error)) {
	var permissions []string
	if permission != "" {
		permissions = strings.Split(permission, " ")
	}
	table[name] = &method{permissions: permissions, run: func(c *call, in proto.Message) (proto.Message, error) {
		typed, ok := in.(In)
		if !ok {
			panic("an input of a wrong type")
		}
		return f(c, typed)
	}}
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<22))
	if err != nil {
		return // the client went away
	}
	if s.serveIdentity(w, r, body) {
		return
	}
	c := &call{Server: s}
	text, fault := s.serve(c, r, body)
	status, kind := http.StatusOK, "application/json; charset=UTF-8"
	if fault != nil {
		status, text = fault.status, fault.body()
		if fault.raw != "" {
			kind = "text/html; charset=UTF-8"
		}
		if fault.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((fault.retryAfter+time.Second-1)/time.Second)))
		}
	}
	if s.observe != nil && kind != "text/html; charset=UTF-8" {
		s.observe(answered{c.method, status, text})
	}
	wait(r.Context(), s.cfg.Latency+c.delay)
	w.Header().Set("Content-Type", kind)
	s.send(w, r, c, status, text)
}

// serve answers a request, but does not send the answer. The answer is written while the lock is held, because it has parts of the state.
func (s *Server) serve(c *call, r *http.Request, body []byte) ([]byte, *apiError) {
	to, vars := s.routes.find(r.Method, r.URL.EscapedPath())
	if to == nil {
		return nil, refuse(http.StatusNotFound, "notFound", "Not Found: Compute Engine has no method %s %s", r.Method, r.URL.Path)
	}
	c.method, c.vars = to.name, vars
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c.method]++
	s.advance()
	if fault := s.refused(c); fault != nil {
		return nil, fault
	}
	out, err := s.act(c, r, to, body)
	s.advance()
	if err == nil && c.fault != nil && c.fault.After {
		err = c.fault.error(s)
	}
	var text []byte
	if err == nil {
		text, err = protojson.Marshal(out)
	}
	var fault *apiError
	if err != nil && !errors.As(err, &fault) {
		fault = refuse(http.StatusInternalServerError, "backendError", "%s", err)
	}
	return text, fault
}

// act decodes the input, asks whether the caller may do it, and does it.
func (s *Server) act(c *call, r *http.Request, to *route, body []byte) (proto.Message, error) {
	var fault *apiError
	if c.who, fault = s.authenticate(r.Header.Get("Authorization")); fault != nil {
		return nil, fault
	}
	if to.method == nil {
		return nil, refuse(http.StatusNotImplemented, "notImplemented", "gcetest does not have the method %s", to.name)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("%s", err)
	}
	if c.in, fault = to.decode(c.vars, query, body); fault != nil {
		return nil, fault
	}
	if fault := s.checkPlace(c); fault != nil {
		return nil, fault
	}
	if fault := c.authorize(to.method.permissions); fault != nil {
		return nil, fault
	}
	return s.once(c, to)
}

// checkPlace checks the project, zone and region of a call.
func (s *Server) checkPlace(c *call) *apiError {
	project := c.vars["project"]
	global := strings.Contains(c.method, "mages.") // public images are in projects of their own
	if project != s.cfg.Project && !global {
		return refuse(http.StatusNotFound, "notFound", "The resource 'projects/%s' was not found", project)
	}
	if s.cfg.Disabled {
		return s.disabled()
	}
	if z, given := c.vars["zone"]; given && s.zone(z) == nil {
		return c.unknownPlace("zone", z)
	}
	if r, given := c.vars["region"]; given && s.cfg.Regions[r] == nil {
		return c.unknownPlace("region", r)
	}
	return nil
}

func (c *call) unknownPlace(kind, name string) *apiError {
	if strings.HasPrefix(c.method, kind+"s.") {
		return c.missing(kind + "s/" + name)
	}
	return invalid("Invalid value for field '%s': '%s'. Unknown %s.", kind, name, kind)
}

// wait waits unless ctx ends earlier.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
