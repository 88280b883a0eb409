package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"path"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// Server serves the control API of one Manager.
type Server struct {
	manager Manager
	log     *slog.Logger
	http    *http.Server
	holders holders
	limit   int // of connections; 0: none
	streams atomic.Int64

	aliveEvery  time.Duration // between two signs of life on a stream
	requestTime time.Duration // for the head of a request, and as long again for its body
}

// NewServer makes a server. It does nothing until Serve is called. It has at most so many connections at once as limit says (0: any number): more
// are answered with CodeBusy, and so are lease streams that would leave less than a few for other requests.
func NewServer(m Manager, limit int, log *slog.Logger) *Server {
	s := &Server{manager: m, limit: limit, log: log, holders: newHolders(), requestTime: requestTime, aliveEvery: aliveEvery}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /v1/manager", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.manager.Info()) })
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("POST /v1/leases", s.lease)
	mux.HandleFunc("POST /v1/leases/release", s.release)
	mux.HandleFunc("POST /v1/reservations", s.reserve)
	mux.HandleFunc("POST /v1/drain", s.drain)
	mux.HandleFunc("/", s.unknown)
	s.http = &http.Server{
		Handler:           s.guard(mux),
		ReadHeaderTimeout: s.requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

const (
	requestTime = 10 * time.Second
	idleTime    = 30 * time.Second // between two requests on one connection
	maxHeader   = 16 << 10
)

// Serve answers requests on l until Close is called. It then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(newDoor(l, s.limit, s.log)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket: %w", err)
	}
	return nil
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.Handler.ServeHTTP(w, r) }

// Close ends every connection at once, including lease streams. Their leases are detached.
func (s *Server) Close() error {
	err := s.http.Close()
	s.holders.wait()
	return err
}

// guard limits the time for the body of every request, also of those whose handler reads none: the server reads it before it answers. And it
// refuses paths such as //v1/status, which a ServeMux answers with a redirect. Clients of this API follow none.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.requestTime)) // a connection of a test may have no deadlines
		}
		if path.Clean(r.URL.Path) != r.URL.Path {
			s.unknown(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	s.fail(w, Errorf(CodeUnknownRequest, "this manager knows no request %s %s; it may be older or newer than its client",
		safetext.Line(r.Method, safetext.MaxName), safetext.Line(r.URL.Path, safetext.MaxReport)))
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.manager.Ready(); err != nil {
		s.fail(w, Errorf(CodeNotReady, "%s", err.Error()))
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	runner, err := selected(r)
	instances := math.MaxInt
	if text := r.URL.Query().Get("instances"); err == nil && text != "" {
		if instances, err = strconv.Atoi(text); err != nil || instances < 0 {
			err = Errorf(CodeBadRequest, "instances=%s is not a number of instances", safetext.Quote(safetext.Line(text, safetext.MaxValue)))
		}
	}
	var status Status
	if err == nil {
		status, err = s.manager.Status(r.Context(), runner, instances)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, status)
}

// selected returns the runner that the request's query names; "" for none.
func selected(r *http.Request) (string, error) {
	runner := r.URL.Query().Get("runner")
	return runner, checkRunner(runner)
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	out := s.stream(w)
	defer out.end()
	var req DrainRequest
	runner, err := selected(r)
	if err == nil && r.ContentLength != 0 {
		err = s.decode(w, r, &req)
	}
	switch {
	case err != nil:
	case req.Undo:
		err = s.manager.Undrain(r.Context(), runner)
	default:
		err = s.manager.Drain(r.Context(), runner)
	}
	if err != nil {
		out.fail(err)
		return
	}
	out.send(Event{})
}

func (s *Server) reserve(w http.ResponseWriter, r *http.Request) {
	var req ReserveRequest
	err := s.decode(w, r, &req)
	if err == nil {
		err = errors.Join(checkKey(req.Key), checkRunner(req.Runner))
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	runner, err := s.manager.Runner(req.Runner)
	switch {
	case err != nil:
	case req.Cancel:
		runner.Unreserve(req.Key)
	default:
		err = runner.Reserve(r.Context(), req.Key)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, struct{}{})
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	var req ReleaseRequest
	err := s.decode(w, r, &req)
	if err == nil {
		err = errors.Join(checkKey(req.Key), checkRunner(req.Runner))
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	runner, err := s.manager.Runner(req.Runner)
	if err == nil {
		err = s.letGo(r.Context(), runner, req)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, struct{}{})
}

// letGo releases the lease of a key. A caller that stopped waiting asks for it too, because a lease may have been granted in that moment. If there is
// none, the manager is not asked: it would record a refusal of something that nobody wanted.
func (s *Server) letGo(ctx context.Context, runner Runner, req ReleaseRequest) error {
	s.holders.settle(ctx, runner, req.Key)
	if live := s.holders.live(runner, req.Key); live != nil {
		return live.Release(ctx, req.Unhealthy, safetext.Line(req.Reason, safetext.MaxMessage))
	}
	if !runner.Holds(ctx, req.Key) {
		return Errorf(CodeUnknownKey, "there is no lease under the key %q", req.Key)
	}
	return runner.Release(ctx, req.Key)
}

// maxRequest is the largest body of a request, in bytes. Requests contain only a few names.
const maxRequest = 64 << 10

func (s *Server) decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil { // the deadline stays, for the rest of the body
		return Errorf(CodeBadRequest, "reading the request: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Errorf(CodeBadRequest, "reading the request: there is more than one value in its body")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a lease stream may be long
	return nil
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("a client went before its answer", "error", err)
	}
}

// fail answers an error in the form that Client reads. The HTTP status is for users of curl.
func (s *Server) fail(w http.ResponseWriter, err error) {
	api := asAPIError(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus(api.Code))
	s.encodeError(w, api)
}

func (s *Server) encodeError(w http.ResponseWriter, api *APIError) {
	if err := json.NewEncoder(w).Encode(Event{Error: api}); err != nil {
		s.log.Debug("a client went before its answer", "error", err)
	}
}

func asAPIError(err error) *APIError {
	var api *APIError
	switch {
	case errors.As(err, &api):
		return api.complete()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Errorf(CodeShutdown, "%v", err)
	}
	return Errorf(CodeInternal, "%s", safetext.Line(err.Error(), safetext.MaxReport)).complete()
}

func httpStatus(c Code) int {
	switch c {
	case CodeBadRequest:
		return http.StatusBadRequest
	case CodeUnknownRunner, CodeUnknownKey, CodeUnknownRequest:
		return http.StatusNotFound
	case CodeDuplicateKey, CodeRefused, CodeNoCapacity, CodeUndrained:
		return http.StatusConflict
	case CodeTimeout:
		return http.StatusGatewayTimeout
	case CodeDraining, CodeShutdown, CodeNotReady, CodeBusy:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
