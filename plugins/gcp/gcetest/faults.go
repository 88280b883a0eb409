package gcetest

import (
	"net/http"
	"time"
)

// FaultSpec is a fault of the API.
type FaultSpec struct {
	Method     string // as "instances.list", or "*"
	Skip       int    // how many calls pass before it
	Times      int    // how many calls it strikes; 0: one; -1: all, until Server.Heal
	Status     int    // HTTP status; default 503
	Reason     string // as "rateLimitExceeded"; default by Status
	Message    string
	Body       string          // the whole body of the answer, as a proxy before Google would write it
	RetryAfter time.Duration   // a header of the answer
	Operation  *OperationFault // the call is answered with an operation that fails, and has no effect
	Hang       bool            // the call is never answered
	Cut        bool            // the connection is cut in the middle of the answer
	After      bool            // the call has its effect, and is answered with the fault nevertheless; so are Hang and Cut
	Delay      time.Duration   // the answer is right, but late
}

// OperationFault is the error of an operation.
type OperationFault struct {
	Code    string // as "QUOTA_EXCEEDED"
	Message string // default: Google's, for codes of CreateFaults
	Status  int    // httpErrorStatusCode; default 400
}

// Fail orders a fault. Of several faults for a call the first ordered one strikes.
func (s *Server) Fail(f FaultSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// Heal withdraws all faults that were ordered by Fail.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Throttled returns how many calls were refused because of Config.Throttle.
func (s *Server) Throttled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.throttled
}

// struck returns the fault that strikes this call, or nil.
func (s *Server) struck(c *call) *FaultSpec {
	for _, f := range s.faults {
		if f.Method != "*" && f.Method != c.method || f.Times == 0 {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

// refused returns why a call is refused before it has an effect.
func (s *Server) refused(c *call) *apiError {
	if f := s.struck(c); f != nil {
		c.fault = f
		c.delay += f.Delay
		if !f.After && !f.Cut && f.Delay == 0 && f.Operation == nil {
			return f.error(s)
		}
	}
	if !s.admit(c.method) {
		s.throttled++
		return s.rateLimited()
	}
	return nil
}

func (f *FaultSpec) error(s *Server) *apiError {
	status, reason := f.Status, f.Reason
	setDefault(&status, http.StatusServiceUnavailable)
	switch status {
	case http.StatusTooManyRequests:
		setDefault(&reason, "rateLimitExceeded")
	case http.StatusForbidden:
		setDefault(&reason, "forbidden")
	default:
		setDefault(&reason, "backendError")
	}
	e := refuse(status, reason, "%s", f.Message)
	if reason == "rateLimitExceeded" {
		e = s.rateLimited()
		e.status = status
		if status == http.StatusTooManyRequests {
			e.code = "RESOURCE_EXHAUSTED"
		}
	}
	if f.Message != "" {
		e.message = f.Message
	}
	setDefault(&e.message, "A fault that the test ordered.")
	e.retryAfter, e.raw = f.RetryAfter, f.Body
	return e
}

// send sends an answer, unless a fault forbids it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, c *call, status int, text []byte) {
	f := c.fault
	if f != nil && f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.closing.Done():
		}
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	if f != nil && f.Cut {
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(text) // the client may have gone away
}

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

// admit takes a token for a method. It returns false when there is none.
func (s *Server) admit(name string) bool {
	limit, limited := s.cfg.Throttle[name]
	if !limited {
		if limit, limited = s.cfg.Throttle["*"]; !limited {
			return true
		}
	}
	b, now := s.buckets[name], s.now()
	if b == nil {
		b = &bucket{tokens: limit.Size, at: now}
		s.buckets[name] = b
	}
	b.tokens = min(limit.Size, b.tokens+now.Sub(b.at).Seconds()*limit.PerSecond)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
