package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

// serve serves m on a real socket and returns a client.
func serve(t *testing.T, m control.Manager) (*control.Client, *control.Server, string) {
	t.Helper()
	s, path := serveWith(t, m, 0, slog.DiscardHandler, nil)
	return control.NewClient(path), s, path
}

// serveWith serves m on a real socket, with a limit of connections (0: none) and a log. adjust may change the server before it serves.
func serveWith(t *testing.T, m control.Manager, limit int, log slog.Handler, adjust func(*control.Server)) (s *control.Server, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s", "control.sock")
	l, err := control.Listen(path, true)
	if err != nil {
		t.Fatal(err)
	}
	s = control.NewServer(m, limit, slog.New(log))
	if adjust != nil {
		adjust(s)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, path
}

// hang limits every wait of these tests. Only a hang reaches it: a busy machine needs far less.
const hang = 2 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, c *control.Client, req control.LeaseRequest) *control.Stream {
	t.Helper()
	s, err := c.Lease(within(t), req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func next(t *testing.T, s *control.Stream) control.Event {
	t.Helper()
	ev, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func await(t *testing.T, m *controltest.Manager, call string, n int) {
	t.Helper()
	if err := m.Await(within(t), call, n); err != nil {
		t.Fatal(err)
	}
}

func acquire(key, holder string) control.LeaseRequest {
	return control.LeaseRequest{Key: key, Holder: holder, Mode: control.ModeAcquire}
}

func TestLeaseFromRequestToRelease(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	ev := next(t, s)
	if ev.Lease == nil || ev.Lease.Key != "job" || ev.Lease.Instance != "i-1" || ev.Lease.Connect == nil || ev.Lease.Connect.ID != "i-1" {
		t.Fatalf("first event %+v", ev)
	}
	if err := c.Release(within(t), control.ReleaseRequest{Key: "job", Unhealthy: control.UnhealthyUnreachable, Reason: "no route"}); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, s); !ev.Released {
		t.Errorf("last event %+v", ev)
	}
	if _, err := s.Next(); err == nil {
		t.Error("the stream continues after the release")
	}
	await(t, m, "release job unreachable", 1)
	if got := m.Reason("job"); got != "no route" {
		t.Errorf("the reason arrived as %q", got)
	}
	for _, call := range m.Calls() {
		if call == "detach job" {
			t.Error("a released lease was detached")
		}
	}
	if err := c.Release(within(t), control.ReleaseRequest{Key: "job"}); !errors.Is(err, &control.APIError{Code: control.CodeUnknownKey}) {
		t.Errorf("second release: %v", err)
	}
}

func TestWaitIsTold(t *testing.T) {
	m := controltest.New(0)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	if ev := next(t, s); ev.Wait == nil || ev.Wait.Position != 1 || ev.Wait.Cause != "boot" {
		t.Fatalf("first event %+v", ev)
	}
	m.AddSlots(1)
	if ev := next(t, s); ev.Lease == nil {
		t.Fatalf("second event %+v", ev)
	}
}

// changing is a manager whose callers wait for one thing in the first two looks, and then for another.
type changing struct {
	*controltest.Manager
	looks atomic.Int32
}

func (m *changing) Runner(string) (control.Runner, error) { return m, nil }

func (m *changing) Waiting(context.Context, string) (control.Wait, bool) {
	if m.looks.Add(1) <= 2 {
		return control.Wait{Cause: "boot"}, true
	}
	return control.Wait{Cause: "max_instances"}, true
}

// TestChangedWaitIsTold: a caller learns of every new reason, also after looks that found the old one.
func TestChangedWaitIsTold(t *testing.T) {
	c, _, _ := serve(t, &changing{Manager: controltest.New(0)})
	s := open(t, c, acquire("job", "h"))
	for _, want := range []string{"boot", "max_instances"} {
		if ev, err := s.Next(); err != nil || ev.Wait == nil || ev.Wait.Cause != want {
			t.Fatalf("told %+v, %v; want %s", ev, err, want)
		}
	}
}

func TestLostConnectionDetaches(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	next(t, s)
	_ = s.Close()
	await(t, m, "detach job", 1)

	again := open(t, c, control.LeaseRequest{Key: "job", Holder: "h", Mode: control.ModeReattach})
	if ev := next(t, again); ev.Lease == nil || ev.Lease.Connect != nil {
		t.Errorf("after reattaching: %+v", ev)
	}
}

// TestConnectInfoIsAskedAgain: a job does not fail because the provider cannot say how to reach its instance. It is told why it waits.
func TestConnectInfoIsAskedAgain(t *testing.T) {
	m := controltest.New(1)
	away := errors.New("the plugin is away")
	m.HideConnectInfo(away, away)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	if ev := next(t, s); ev.Wait == nil || ev.Wait.Cause != "plugin" || !strings.Contains(ev.Wait.Sentence, "i-1") || !strings.Contains(ev.Wait.Sentence, away.Error()) {
		t.Fatalf("first event %+v", ev)
	}
	if ev := next(t, s); ev.Lease == nil || ev.Lease.Connect == nil {
		t.Fatalf("second event %+v: the same wait is told once", ev)
	}
	await(t, m, "connect job", 3)
	for _, call := range m.Calls() {
		if strings.HasPrefix(call, "release") {
			t.Errorf("the lease was given back: %q", m.Calls())
		}
	}
}

// TestInstanceGivenUpBeforeItsJobBegan: when the manager gives up an instance that it cannot reach, the job gets another one.
func TestInstanceGivenUpBeforeItsJobBegan(t *testing.T) {
	m := controltest.New(1)
	gone := errors.New("no such instance")
	m.HideConnectInfo(gone, gone, gone)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	if ev := next(t, s); ev.Wait == nil {
		t.Fatalf("first event %+v", ev)
	}
	m.Revoke("job", "unhealthy")
	await(t, m, "acquire job", 2)
	for ev := next(t, s); ; ev = next(t, s) {
		if ev.Revoked != nil || ev.Error != nil {
			t.Fatalf("the job was told of an instance that it never had: %+v", ev)
		}
		if ev.Lease != nil {
			break
		}
	}
	if err := c.Release(within(t), control.ReleaseRequest{Key: "job"}); err != nil {
		t.Fatal(err)
	}
	if ev := next(t, s); !ev.Released {
		t.Errorf("after the release of the second instance: %+v", ev)
	}
}

// TestCallerLeavesWhileItsInstanceCannotBeReached: its lease waits for it to come back.
func TestCallerLeavesWhileItsInstanceCannotBeReached(t *testing.T) {
	m := controltest.New(1)
	for range 100 {
		m.HideConnectInfo(errors.New("the plugin is away"))
	}
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	next(t, s)
	_ = s.Close()
	await(t, m, "detach job", 1)
}

func TestLostWaiterGivesUp(t *testing.T) {
	m := controltest.New(0)
	c, _, _ := serve(t, m)
	s := open(t, c, acquire("job", "h"))
	await(t, m, "acquire job", 1)
	_ = s.Close()
	await(t, m, "gave up job", 1)
}

func TestSameHolderTakesOver(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	next(t, open(t, c, acquire("job", "h")))
	second := open(t, c, control.LeaseRequest{Key: "job", Holder: "h", Mode: control.ModeReattach})
	if ev := next(t, second); ev.Lease == nil {
		t.Fatalf("after the takeover: %+v", ev)
	}
	m.Revoke("job", "missing")
	if ev := next(t, second); ev.Revoked == nil || ev.Revoked.Cause != "missing" || ev.Revoked.Instance != "i-1" {
		t.Errorf("after the revocation: %+v", ev)
	}
	for _, call := range m.Calls() {
		if call == "detach job" {
			t.Error("the takeover detached the lease")
		}
	}
}

func TestOtherHolderIsRefused(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	next(t, open(t, c, acquire("job", "h")))
	for _, holder := range []string{"other", ""} {
		_, err := c.Lease(within(t), control.LeaseRequest{Key: "job", Holder: holder, Mode: control.ModeReattach})
		if !errors.Is(err, &control.APIError{Code: control.CodeDuplicateKey}) {
			t.Errorf("holder %q: %v", holder, err)
		}
	}
}

func TestResume(t *testing.T) {
	m := controltest.New(2)
	c, _, _ := serve(t, m)
	fresh := open(t, c, control.LeaseRequest{Key: "new", Holder: "h", Mode: control.ModeResume})
	if ev := next(t, fresh); ev.Lease == nil || ev.Lease.Connect == nil {
		t.Fatalf("without a lease: %+v", ev)
	}
	_ = fresh.Close()
	await(t, m, "detach new", 1)
	again := open(t, c, control.LeaseRequest{Key: "new", Holder: "h", Mode: control.ModeResume})
	if ev := next(t, again); ev.Lease == nil || ev.Lease.Connect == nil {
		t.Fatalf("with a lease: %+v", ev)
	}
	await(t, m, "acquire new", 1)
}

func TestServerCloseDetachesNothingTwice(t *testing.T) {
	m := controltest.New(1)
	c, s, _ := serve(t, m)
	stream := open(t, c, acquire("job", "h"))
	next(t, stream)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var away *control.AwayError
	if _, err := stream.Next(); !errors.As(err, &away) {
		t.Errorf("the error of the client is %v", err)
	}
	await(t, m, "detach job", 1)
	if _, err := c.Status(within(t), ""); !errors.As(err, &away) || !strings.Contains(err.Error(), "taskscaler run") {
		t.Errorf("after the end of the server: %v", err)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	m.Deny(control.Errorf(control.CodeShutdown, "going"), controltest.ErrBroken, context.DeadlineExceeded)
	for _, want := range []control.Code{control.CodeShutdown, control.CodeInternal, control.CodeShutdown} {
		s := open(t, c, acquire("job", "h"))
		ev := next(t, s)
		if ev.Error == nil || ev.Error.Code != want {
			t.Errorf("want %s: %+v", want, ev.Error)
		}
		_ = s.Close()
	}
	for name, err := range map[string]error{
		"lease": func() error {
			_, err := c.Lease(within(t), control.LeaseRequest{Runner: "x", Key: "k", Mode: "acquire"})
			return err
		}(),
		"status": func() error { _, err := c.Status(within(t), "x"); return err }(),
		"drain":  c.Drain(within(t), "x"),
		"undo":   c.Undrain(within(t), "x"),
	} {
		if !errors.Is(err, &control.APIError{Code: control.CodeUnknownRunner}) {
			t.Errorf("%s of an unknown runner: %v", name, err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	m := controltest.New(1)
	handler := control.NewServer(m, 0, slog.New(slog.DiscardHandler))
	for _, body := range []string{
		"", "{", "[]", `{"key":""}`, `{"key":"k"}`, `{"key":"k","mode":"steal"}`, `{"key":"k","mode":"acquire","colour":1}`,
		`{"mode":"acquire","key":"` + strings.Repeat("k", 513) + `"}`, `{"key":"` + strings.Repeat("k", 70_000) + `"}`,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/leases", strings.NewReader(body)))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), string(control.CodeBadRequest)) {
			t.Errorf("%.40q: %d %s", body, w.Code, w.Body)
		}
	}
	for _, query := range []string{"x", "-1", "1e3", "99999999999999999999"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/status?instances="+query, nil))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "not a number of instances") {
			t.Errorf("a status of %s: %d %s", query, w.Code, w.Body)
		}
	}
	for _, body := range []string{"{", `{"undo":1}`, `{"redo":true}`} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/drain", strings.NewReader(body)))
		if w.Code != http.StatusBadRequest {
			t.Errorf("drain %q: %d %s", body, w.Code, w.Body)
		}
	}
	if calls := m.Calls(); len(calls) != 0 {
		t.Errorf("a bad request reached the manager: %q", calls)
	}
}

func TestHealth(t *testing.T) {
	m := controltest.New(1)
	handler := control.NewServer(m, 0, slog.New(slog.DiscardHandler))
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := get("/healthz"); w.Code != http.StatusOK {
		t.Errorf("healthz: %d", w.Code)
	}
	if w := get("/readyz"); w.Code != http.StatusOK {
		t.Errorf("readyz: %d", w.Code)
	}
	m.NotReady(controltest.ErrBroken)
	if w := get("/readyz"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "it is broken") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	for _, unknown := range []string{"/", "/v1/nothing", "/v1/leases", "/v1//status", "//v1/status", "/v1/../v1/status", "/v1/status/"} {
		w := get(unknown)
		var answered control.Event
		if err := json.Unmarshal(w.Body.Bytes(), &answered); w.Code != http.StatusNotFound || err != nil || answered.Error == nil ||
			answered.Error.Code != control.CodeUnknownRequest || !strings.Contains(answered.Error.Message, "GET "+unknown+";") {
			t.Errorf("%s: %d %s", unknown, w.Code, w.Body)
		}
	}
}

func TestStatusInfoAndDrain(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	info, err := c.Info(within(t))
	if err != nil || info != m.Info() {
		t.Errorf("info %+v, %v", info, err)
	}
	status, err := c.Status(within(t), "one")
	if err != nil || status.Manager != info || len(status.Runners) != 1 || status.Runners[0].Name != "one" {
		t.Errorf("status %+v, %v", status, err)
	}
	if calls := m.Calls(); len(calls) > 0 {
		t.Errorf("a status without a limit has the limit %q", calls)
	}
	for _, runner := range []string{"", "one"} {
		if status, err := c.StatusOf(within(t), runner, 3); err != nil || len(status.Runners) != 1 {
			t.Errorf("a status of three instances: %+v, %v", status, err)
		}
	}
	if calls := m.Calls(); !slices.Equal(calls, []string{"status of 3", "status of 3"}) {
		t.Errorf("the manager was asked %q", calls)
	}
	next(t, open(t, c, acquire("job", "h")))
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(within(t), "") }()
	await(t, m, "drain", 1)
	if err := c.Undrain(within(t), "one"); err != nil {
		t.Error(err)
	}
	if err := <-drained; !errors.Is(err, &control.APIError{Code: control.CodeUndrained}) {
		t.Errorf("a drain that was undone: %v", err)
	}
	go func() { drained <- c.Drain(within(t), "") }()
	await(t, m, "drain", 2)
	if err := c.Release(within(t), control.ReleaseRequest{Key: "job"}); err != nil {
		t.Fatal(err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestReservations(t *testing.T) {
	m := controltest.New(1)
	c, _, _ := serve(t, m)
	if err := c.Reserve(within(t), control.ReserveRequest{Key: "job"}); err != nil {
		t.Error(err)
	}
	if err := c.Reserve(within(t), control.ReserveRequest{Key: "job", Cancel: true}); err != nil {
		t.Error(err)
	}
	await(t, m, "unreserve job", 1)
	m.AddSlots(-1)
	if err := c.Reserve(within(t), control.ReserveRequest{Key: "job"}); !errors.Is(err, &control.APIError{Code: control.CodeNoCapacity}) {
		t.Errorf("without a slot: %v", err)
	}
	for _, req := range []control.ReserveRequest{{Key: ""}, {Key: "k", Runner: "x"}} {
		if err := c.Reserve(within(t), req); err == nil {
			t.Errorf("%+v is accepted", req)
		}
	}
}

// TestForeignSocket: the client notices that another program answers.
func TestForeignSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = other.Serve(l) }()
	t.Cleanup(func() { _ = other.Close(); <-done })
	if _, err := control.NewClient(path).Status(within(t), ""); err == nil || !strings.Contains(err.Error(), "is not taskscaler's control API") {
		t.Errorf("status: %v", err)
	}
}

// TestManagerThatGoes: the manager accepts the request and ends without an answer. The error does not show the words of net/http.
func TestManagerThatGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "going.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close() // if the request was not read, the client sees a reset, else an EOF
		}
	}()
	c := control.NewClient(path)
	check := func(err error, words string) {
		t.Helper()
		var away *control.AwayError
		if !errors.As(err, &away) || !away.Gone() || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "Post") {
			t.Errorf("%v", err)
		}
	}
	_, err = c.Lease(within(t), acquire("job", "h"))
	check(err, "went away before it answered")
	_ = l.Close()
	<-done
	_, err = c.Lease(within(t), acquire("job", "h"))
	check(err, "no manager is running")
	other := &control.AwayError{Where: path, Err: errors.ErrUnsupported}
	if other.Gone() || !strings.Contains(other.Error(), "does not answer: unsupported") {
		t.Errorf("%v", other)
	}
}

// FuzzRequests: the server answers every request. An error has a code.
func FuzzRequests(f *testing.F) {
	f.Add("/v1/leases/release", []byte(`{"key":"k"}`))
	f.Add("/v1/leases", []byte(`{"key":"k","mode":"reattach","holder":"h","runner":"one"}`))
	f.Add("/v1/drain", []byte(nil))
	handler := control.NewServer(controltest.New(0), 0, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		if bytes.Contains(body, []byte("acquire")) || bytes.Contains(body, []byte("resume")) || bytes.Contains(body, []byte(`\`)) {
			t.Skip("a valid request may wait for a slot")
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/leases", bytes.NewReader(body))
		if path == "/v1/leases/release" {
			r.URL.Path = path
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK && !strings.Contains(w.Body.String(), `"error"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
