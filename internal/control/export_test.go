package control

import (
	"io/fs"
	"os"
	"time"
)

// SetAlive sets the time between two signs of life. Call it before Serve.
func (s *Server) SetAlive(every time.Duration) { s.aliveEvery = every }

// SetAlive sets after which time without a sign of life a stream ends.
func (c *Client) SetAlive(within time.Duration) { c.alive = within }

// SetTimes sets the time limit for each part of a request and between two requests. Call it before Serve.
func (s *Server) SetTimes(limit time.Duration) {
	s.requestTime, s.http.ReadHeaderTimeout, s.http.IdleTimeout = limit, limit, limit
}

// ListenWith is Listen with a function that runs between the bind of the socket and the change of its mode.
func ListenWith(path string, between func(temporary string)) (*Listener, error) {
	return bind(path, func(name string, mode fs.FileMode) error {
		between(name)
		return os.Chmod(name, mode)
	})
}
