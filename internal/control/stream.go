package control

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// aliveEvery is the time between two signs of life on a stream. A client gives the manager up after aliveWithin without one.
const (
	aliveEvery  = 10 * time.Second
	aliveWithin = 60 * time.Second
)

// eventWriter writes the lines of a stream, and a sign of life at regular times. It ignores write errors: when the client is gone, the request's
// context ends.
type eventWriter struct {
	server *Server
	w      http.ResponseWriter
	flush  *http.ResponseController
	done   chan struct{} // closed to end the signs of life
	ended  chan struct{} // closed when they have ended

	mu    sync.Mutex
	begun bool // the head of the answer was written
}

// stream returns the writer for one request. Call end before the handler returns.
func (s *Server) stream(w http.ResponseWriter) *eventWriter {
	e := &eventWriter{server: s, w: w, flush: http.NewResponseController(w), done: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		tick := time.NewTicker(s.aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				e.send(Event{Alive: true})
			case <-e.done:
				return
			}
		}
	}()
	return e
}

// end ends the signs of life. Nothing is written after it has returned.
func (e *eventWriter) end() {
	close(e.done)
	<-e.ended
}

// begin writes the head of the answer, so that the client knows that its request was accepted.
func (e *eventWriter) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.head()
	_ = e.flush.Flush()
}

// head writes the head once. mu must be held.
func (e *eventWriter) head() {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "application/x-ndjson")
		e.w.WriteHeader(http.StatusOK)
	}
}

func (e *eventWriter) send(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.head()
	if json.NewEncoder(e.w).Encode(ev) == nil {
		_ = e.flush.Flush()
	}
}

// fail answers an error: with an HTTP status if there was no line yet, else as the last line.
func (e *eventWriter) fail(err error) {
	e.mu.Lock()
	begun := e.begun
	if !begun {
		e.begun = true
		e.server.fail(e.w, err)
	}
	e.mu.Unlock()
	if begun {
		e.send(Event{Error: asAPIError(err)})
	}
}
