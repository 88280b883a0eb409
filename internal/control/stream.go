package control

import (
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

	mu    sync.Mutex
	begun bool        // the head of the answer was written
	over  bool        // nothing may be written any more
	alive *time.Timer // of the next sign of life
}

// stream returns the writer for one request. Call end before the handler returns.
func (s *Server) stream(w http.ResponseWriter) *eventWriter {
	e := &eventWriter{server: s, w: w, flush: http.NewResponseController(w)}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.alive = time.AfterFunc(s.aliveEvery, e.sign)
	return e
}

// sign writes a sign of life and sets the timer of the next one.
func (e *eventWriter) sign() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		e.write(Event{Alive: true})
		e.alive.Reset(e.server.aliveEvery)
	}
}

// end ends the signs of life. Nothing is written after it has returned.
func (e *eventWriter) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	e.alive.Stop()
}

// begin writes the head of the answer, so that the client knows that its request was accepted.
func (e *eventWriter) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.head()
	_ = e.flush.Flush()
}

func (e *eventWriter) send(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write(ev)
}

// fail answers an error: with an HTTP status if there was no line yet, else as the last line.
func (e *eventWriter) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun {
		e.write(Event{Error: asAPIError(err)})
		return
	}
	e.begun = true
	e.server.fail(e.w, err)
}

// head writes the head once. mu must be held, here and in write.
func (e *eventWriter) head() {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "application/x-ndjson")
		e.w.WriteHeader(http.StatusOK)
	}
}

func (e *eventWriter) write(ev Event) {
	e.head()
	if writeEvent(e.w, ev) == nil {
		_ = e.flush.Flush()
	}
}
