package control

import "time"

// SetTimes sets the time limit for each part of a request and between two requests. Call it before Serve.
func (s *Server) SetTimes(limit time.Duration) {
	s.requestTime, s.http.ReadHeaderTimeout, s.http.IdleTimeout = limit, limit, limit
}
