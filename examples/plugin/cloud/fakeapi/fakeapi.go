// Package fakeapi is the API of package cloud for tests: a server on loopback that keeps machines in memory and can be told to fail.
package fakeapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud"
)

// Token is what the server accepts.
const Token = "the-token"

const pageSize = 2 // so small that tests meet several pages

// Server is the API.
type Server struct {
	URL string
	Max int // machines; 0: no limit

	http     *httptest.Server
	requests atomic.Int64 // so far
	open     atomic.Int64 // without an answer yet

	mu       sync.Mutex
	machines []cloud.Machine
	answer   func(w http.ResponseWriter, r *http.Request) bool
}

// Start starts a server. The caller closes it.
func Start() *Server {
	s := &Server{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /machines", s.list)
	mux.HandleFunc("POST /machines", s.create)
	mux.HandleFunc("GET /machines/{id}", s.get)
	mux.HandleFunc("DELETE /machines/{id}", s.remove)
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.open.Add(1)
		defer s.open.Add(-1)
		if answer := s.broken(); answer != nil && answer(w, r) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer "+Token:
			refuse(w, http.StatusUnauthorized, "unauthorized", "the token is not known")
		default:
			mux.ServeHTTP(w, r)
		}
	}))
	s.URL = s.http.URL
	return s
}

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// Break lets answer answer the calls for which it returns true. nil ends that.
func (s *Server) Break(answer func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *Server) broken() func(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer
}

// Requests returns how many requests have come so far, and how many of them have no answer yet.
func (s *Server) Requests() (all, open int) { return int(s.requests.Load()), int(s.open.Load()) }

// Add adds a machine, such as one that is not the group's.
func (s *Server) Add(m cloud.Machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machines = append(s.machines, m)
}

// Len returns how many machines there are.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.machines)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	var found []cloud.Machine
	for i := range s.machines {
		if hasLabels(s.machines[i].Labels, r.FormValue("labels")) {
			found = append(found, s.machines[i])
			s.machines[i].State = "running" // it was starting until somebody looked
		}
	}
	number, err := strconv.Atoi(r.FormValue("page"))
	if err != nil || number < 1 {
		refuse(w, http.StatusBadRequest, "invalid", "page must be a number from 1")
		return
	}
	from := min((number-1)*pageSize, len(found))
	to := min(from+pageSize, len(found))
	send(w, http.StatusOK, map[string]any{"machines": append([]cloud.Machine{}, found[from:to]...), "more": to < len(found)})
}

func hasLabels(have map[string]string, selector string) bool {
	for term := range strings.SplitSeq(selector, ",") {
		key, value, _ := strings.Cut(term, "=")
		if have[key] != value {
			return false
		}
	}
	return true
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var spec cloud.Spec
	switch err := json.NewDecoder(r.Body).Decode(&spec); {
	case err != nil || spec.Name == "":
		refuse(w, http.StatusUnprocessableEntity, "invalid", "a machine needs a name")
	case s.Max > 0 && len(s.machines) >= s.Max:
		refuse(w, http.StatusForbidden, "quota_exceeded", "this project may have "+strconv.Itoa(s.Max)+" machines")
	default:
		m := cloud.Machine{ID: spec.Name, State: "starting", Address: s.http.Listener.Addr().String(), Labels: spec.Labels}
		s.machines = append(s.machines, m)
		send(w, http.StatusAccepted, m)
	}
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) int {
	i := slices.IndexFunc(s.machines, func(m cloud.Machine) bool { return m.ID == r.PathValue("id") })
	if i < 0 {
		refuse(w, http.StatusNotFound, "not_found", "there is no such machine")
	}
	return i
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	if i := s.find(w, r); i >= 0 {
		send(w, http.StatusOK, s.machines[i])
	}
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) {
	if i := s.find(w, r); i >= 0 {
		s.machines = slices.Delete(s.machines, i, i+1)
		w.WriteHeader(http.StatusNoContent)
	}
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	send(w, status, map[string]string{"code": code, "message": message})
}
