package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// daemonAt serves answer as the control API, as a manager that was replaced, or a newer one, may. It returns the path of the socket.
func daemonAt(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t") // a short path: a socket allows no other
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: answer}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done; _ = os.RemoveAll(dir) })
	return path
}

// hostileStatus has text in every place.
func hostileStatus(text string) control.Status {
	var s control.Status
	fill(reflect.ValueOf(&s).Elem(), text)
	s.Runners[0].Starting, s.Reload.Reloaded = false, nil
	fleet := s.Runners[0].Fleet
	fleet.Ready = false
	states := []string{"ready", "gone", "lost", text}
	fleet.Instances = nil
	for _, state := range states {
		var i taskscaler.InstanceStatus
		fill(reflect.ValueOf(&i).Elem(), text)
		i.State = state
		fleet.Instances = append(fleet.Instances, i)
	}
	plain := fleet.Instances[0]
	plain.ID, plain.Cause, plain.Leases, plain.Unreachable = "i-1", "", nil, false
	fleet.Instances = append(fleet.Instances, plain)
	starting, refused, failed := s.Runners[0], s.Runners[0], s.Runners[0]
	starting.Starting, starting.Fleet = true, nil
	refused.Fleet, refused.Failed = nil, ""
	failed.Fleet = nil
	s.Runners = append(s.Runners, starting, refused, failed)
	return s
}

// TestHostileManager: what a manager answers.
func TestHostileManager(t *testing.T) {
	status := hostileStatus(long)
	socket := daemonAt(t, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(status) })
	for _, args := range [][]string{{"status"}, {"status", "--all"}} {
		code, stdout, stderr := invoke(t, nil, append(args, "--socket", socket)...)
		if code != 0 {
			t.Fatalf("%q: %d, %s", args, code, stderr)
		}
		shown(t, args[len(args)-1], stdout, stderr)
		safe(t, "a value of the status", stdout, true, 1<<10)
		if !strings.Contains(stdout, "\n  i-1      ready, 1 use\n") {
			t.Errorf("a long id moves the other lines: %q", stdout[strings.LastIndex(stdout, "  i-1"):])
		}
	}
	code, stdout, stderr := invoke(t, nil, "status", "--json", "--socket", socket)
	safe(t, "JSON", stdout+stderr, false, 1<<20)
	var got control.Status
	if err := json.Unmarshal([]byte(stdout), &got); code != 0 || err != nil || !reflect.DeepEqual(got, status) {
		t.Errorf("the JSON is not what the manager said: %d, %v", code, err)
	}
	for _, args := range [][]string{{"explain"}, {"replay"}} {
		_, stdout, stderr = invoke(t, nil, append(args, "--socket", socket)...)
		shown(t, args[0]+" of a journal that the manager named", stdout, stderr)
	}
}

// TestHostileWatch: status --watch has its own way to the terminal.
func TestHostileWatch(t *testing.T) {
	for name, show := range map[string]func(io.Writer, control.Status) error{"text": showText, "JSON": showJSON} {
		var out strings.Builder
		broken := io.MultiWriter(&out, failing{})
		_ = watchStatus(t.Context(), broken, func() (control.Status, error) { return hostileStatus(hostile), nil }, show)
		safe(t, name, out.String(), true, 1<<10)
		if !strings.Contains(out.String(), "evil") {
			t.Errorf("%s is empty", name)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestHostileErrors: a manager that refuses, that answers nonsense, and that is none.
func TestHostileErrors(t *testing.T) {
	raw, err := json.Marshal(control.Event{Error: &control.APIError{Code: hostile, Message: long}})
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]http.HandlerFunc{
		"an error":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict); _, _ = w.Write(raw) },
		"an error, late": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(append(raw, '\n')) },
		"no JSON":        func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"`+broken+`": `+broken) },
		"another type": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"error": "`+"evil\u009b\u202e"+`"}`+"\n")
		},
		"not our HTTP":          answerRaw("HTTP/1.1 500 evil\x1b[2J\u009b\u202eFORGED\r\nContent-Length: 0\r\n\r\n"),
		"no HTTP":               answerRaw("evil" + broken + "\r\n\r\n"),
		"a header that is none": answerRaw("HTTP/1.1 200 OK\r\n" + broken + "\r\n\r\n"),
	}
	for name, answer := range answers {
		socket := daemonAt(t, answer)
		for _, args := range [][]string{{"status"}, {"drain"}, {"drain", "--undo"}, {"explain"}, {"replay"}, {"exec", "--key", "k", "--runner", "r"}} {
			all := append(append([]string{}, args...), "--socket", socket)
			if args[0] == "exec" {
				all = append(all, "--", "true")
			}
			code, stdout, stderr := invoke(t, nil, all...)
			what := fmt.Sprintf("%s, %q", name, args)
			safe(t, what, stdout, true, 1<<10)
			safe(t, what, stderr, false, 4<<10)
			if stderr == "" && code != 0 {
				t.Errorf("%s: no message", what)
			}
			if strings.HasPrefix(name, "an error") && !strings.Contains(stderr, "evil") && !strings.Contains(what, "late") {
				t.Errorf("%s: %q", what, stderr)
			}
		}
	}
}

// answerRaw answers these bytes.
func answerRaw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}
