package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// The services, by the names that signatures use, and their versions.
const (
	serviceAutoScaling = "autoscaling"
	serviceEC2         = "ec2"
	serviceConnect     = "ec2-instance-connect"
	serviceIAM         = "iam"
	serviceSTS         = "sts"

	versionEC2 = "2016-11-15"
)

type service struct {
	version  string
	protocol protocol
}

// serviceOf returns a service by the name that signatures use. Without protocol it is none.
func serviceOf(name string) service {
	switch name {
	case serviceAutoScaling:
		return service{"2011-01-01", queryXML{"http://autoscaling.amazonaws.com/doc/2011-01-01/"}}
	case serviceEC2:
		return service{versionEC2, ec2XML{}}
	case serviceConnect:
		return service{"", amzJSON{}}
	case serviceIAM:
		return service{"2010-05-08", queryXML{"https://iam.amazonaws.com/doc/2010-05-08/"}}
	case serviceSTS:
		return service{"2011-06-15", queryXML{"https://sts.amazonaws.com/doc/2011-06-15/"}}
	}
	return service{}
}

// action is one action of a service.
type action struct {
	service, name string
	in, out       reflect.Type
	run           func(c *call, in any) (any, error)
}

// call is one request while it is served. Its handler runs with Server.mu held.
type call struct {
	*Server
	who     *principal
	service string
	action  string
	params  url.Values
	body    []byte
	delay   time.Duration // before the answer is sent, because the model says so
	fault   *FaultSpec    // that strikes it
}

// answered is one answer, for tests.
type answered struct {
	service, action string
	params          url.Values
	input           []byte // of JSON requests
	status          int
	body            []byte
}

// add puts an action into the table. Its input is decoded into In, and Out is its answer.
func add[In, Out any](table map[string]*action, service, name string, f func(c *call, in *In) (*Out, error)) {
	table[service+":"+name] = &action{
		service: service, name: name, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		run: func(c *call, in any) (any, error) {
			typed, ok := in.(*In)
			if !ok {
				panic("an input of a wrong type")
			}
			return f(c, typed)
		},
	}
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client went away
	}
	id := requestID()
	c, p, text, fault := s.serve(r, body, id)
	status := http.StatusOK
	if fault != nil {
		status, text = fault.status, p.failed(id, fault)
	}
	if s.observe != nil {
		s.observe(answered{c.service, c.action, c.params, c.body, status, text})
	}
	wait(r.Context(), s.cfg.Latency+c.delay)
	w.Header().Set("Content-Type", p.contentType())
	w.Header().Set("X-Amzn-Requestid", id)
	s.send(w, r, c, status, text)
}

// serve answers a request, but does not send the answer. It is written while the lock is held, because it points to what the next call may change.
func (s *Server) serve(r *http.Request, body []byte, id string) (c *call, p protocol, text []byte, fault *apiError) {
	c, fault = s.parse(r, body)
	p = serviceOf(c.service).protocol
	if fault != nil {
		return c, p, nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := c.service + ":" + c.action
	s.calls[name]++
	s.advance()
	if fault := s.refused(c); fault != nil {
		return c, p, nil, fault
	}
	out, err := s.act(c)
	if err == nil {
		text, err = p.answer(c.action, id, out)
	}
	s.advance()
	if err == nil {
		err = s.afterwards(c)
	}
	if err != nil && !errors.As(err, &fault) {
		fault = refuse("InternalFailure", "%s", err).with(http.StatusInternalServerError)
	}
	return c, p, text, fault
}

// parse finds out which action is asked for, and by whom.
func (s *Server) parse(r *http.Request, body []byte) (*call, *apiError) {
	c := &call{Server: s, service: serviceEC2, body: body}
	sig, fault := parseSignature(r)
	if serviceOf(sig.service).protocol != nil {
		c.service = sig.service
	}
	c.action = actionOf(r, body, c)
	if fault != nil {
		return c, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.who, fault = s.account.verify(s, r, body, c.service, sig)
	return c, fault
}

func actionOf(r *http.Request, body []byte, c *call) string {
	if c.service == serviceConnect {
		_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "AWSEC2InstanceConnectService.")
		return name
	}
	c.body = nil
	c.params = r.URL.Query()
	if form, err := url.ParseQuery(string(body)); err == nil {
		for k, v := range form {
			c.params[k] = v
		}
	}
	name := c.params.Get("Action")
	return name
}

// act decodes the input, asks whether the caller may do it, and does it.
func (s *Server) act(c *call) (any, error) {
	a := s.table[c.service+":"+c.action]
	if a == nil {
		return nil, unknownAction(c)
	}
	in := reflect.New(a.in)
	if c.service == serviceConnect {
		decoder := json.NewDecoder(strings.NewReader(string(c.body)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(in.Interface()); err != nil {
			return nil, refuse("SerializationException", "%s", err)
		}
	} else if fault := decodeQuery(c, in.Elem()); fault != nil {
		return nil, fault
	}
	if fault := c.authorize(in.Interface()); fault != nil {
		return nil, fault
	}
	if c.service == serviceEC2 && c.params.Get("DryRun") == "true" {
		return nil, refuse("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").with(http.StatusPreconditionFailed)
	}
	return a.run(c, in.Interface())
}

func unknownAction(c *call) *apiError {
	if c.service == serviceConnect {
		return refuse("UnknownOperationException", "")
	}
	return refuse("InvalidAction", "Could not find operation %s for version %s", c.action, serviceOf(c.service).version)
}

func decodeQuery(c *call, to reflect.Value) *apiError {
	params := url.Values{}
	for k, v := range c.params {
		if k != "Action" && k != "Version" && (k != "DryRun" || c.service != serviceEC2) {
			params[k] = v
		}
	}
	if v := c.params.Get("Version"); v != serviceOf(c.service).version {
		return refuse("InvalidParameterValue", "the version %q is not served, only %s", v, serviceOf(c.service).version)
	}
	return decoder{flat: c.service == serviceEC2}.decode(tree(params), to, "")
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
