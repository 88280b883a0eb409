package gcetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// Server is a running cloud. Its methods may be called at any time, from any goroutine.
type Server struct {
	cfg     Config
	routes  *routes
	http    *http.Server
	url     string
	start   time.Time
	stopped context.CancelFunc
	closing context.Context //nolint:containedctx // it ends requests that hang when the server is closed
	busy    sync.WaitGroup
	wake    chan struct{}
	rounds  int // of run; guarded by mu

	// observe is told each answer, in tests.
	observe func(answered)

	mu        sync.Mutex
	calls     map[string]int
	throttled int // calls
	buckets   map[string]*bucket
	faults    []*FaultSpec
	accounts  map[string]*account // by email
	tokens    map[string]token
	zones     []*zone
	groups    map[string]*group // by path, as zones/ZONE/instanceGroupManagers/NAME
	orphans   []*instance       // that no group manages any more
	templates map[string]*computepb.InstanceTemplate
	scalers   map[string]*computepb.Autoscaler
	firewalls map[string]*computepb.Firewall
	metadata  *computepb.Metadata // of the project
	ops       []*operation
	byRequest map[string]*operation
	made      int // instances
	numbers   uint64
}

type zone struct {
	name, region string
	number       int
	stockOut     bool
}

// Start starts a server. Close ends it.
func Start(cfg Config) (*Server, error) { return start(cfg, nil) }

func start(cfg Config, observe func(answered)) (*Server, error) {
	cfg.setDefaults()
	routes, err := newRoutes(methods())
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, routes: routes, observe: observe, calls: map[string]int{}, buckets: map[string]*bucket{}, accounts: map[string]*account{}, tokens: map[string]token{},
		groups: map[string]*group{}, templates: map[string]*computepb.InstanceTemplate{}, scalers: map[string]*computepb.Autoscaler{},
		firewalls: map[string]*computepb.Firewall{}, byRequest: map[string]*operation{}, wake: make(chan struct{}, 1),
	}
	s.start = s.now()
	s.closing, s.stopped = context.WithCancel(context.Background())
	if err := s.setUp(); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("the server of Compute Engine cannot listen: %w", err)
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.busy.Go(func() {
		if err := s.http.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("the server of Compute Engine ended", "error", err)
		}
	})
	if cfg.Now == nil {
		s.busy.Go(s.run)
	}
	return s, nil
}

func (s *Server) setUp() error {
	for _, region := range slices.Sorted(maps.Keys(s.cfg.Regions)) {
		for _, name := range s.cfg.Regions[region] {
			s.zones = append(s.zones, &zone{name: name, region: region, number: len(s.zones)})
		}
	}
	for _, a := range s.cfg.Accounts {
		s.accounts[a.Email] = &account{Account: a}
		if a.Token != "" {
			s.tokens[a.Token] = token{email: a.Email}
		}
	}
	s.metadata = &computepb.Metadata{Items: items(s.cfg.Metadata)}
	for i := range s.cfg.Groups {
		if err := s.addConfigured(s.cfg.Groups[i]); err != nil {
			return fmt.Errorf("Config.Groups[%d]: %w", i, err)
		}
	}
	s.advance()
	return nil
}

// Close ends the server and its machines.
func (s *Server) Close() {
	s.stopped()
	_ = s.http.Close() // what is cut off is the caller's
	s.busy.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all() {
		if in.machine != nil {
			in.machine.Stop()
			in.machine = nil
		}
	}
}

// URL returns the endpoint, for option.WithEndpoint.
func (s *Server) URL() string { return s.url }

// Calls returns how often each method was called, as "instanceGroupManagers.resize", with the calls that were refused.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

func (s *Server) now() time.Time {
	if s.cfg.Now != nil {
		return s.cfg.Now()
	}
	return time.Now()
}

// Advance does what is due at Config.Now. Without Config.Now it happens by itself.
func (s *Server) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
}

func (s *Server) zone(name string) *zone {
	for _, z := range s.zones {
		if z.name == name {
			return z
		}
	}
	return nil
}
