package ec2

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a running cloud. Its methods may be called at any time, from any goroutine.
type Server struct {
	cfg     Config
	table   map[string]*action
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
	account   *account
	groups    map[string]*group // by name
	all       []*group          // in the order of their creation, also deleted ones
	instances map[string]*instance
	numbers   int // of instances, over all groups
	network   network
	templates []*template
	made      int // launch templates, security groups and the like, for their ids
	keys      map[string]*keyPair
	images    map[string]*Image
}

// Start starts a server. Close ends it.
func Start(cfg Config) (*Server, error) { return start(cfg, nil) }

func start(cfg Config, observe func(answered)) (*Server, error) {
	cfg.setDefaults()
	s := &Server{
		cfg: cfg, table: actions(), calls: map[string]int{}, buckets: map[string]*bucket{}, groups: map[string]*group{},
		observe: observe, instances: map[string]*instance{}, keys: map[string]*keyPair{}, images: map[string]*Image{}, wake: make(chan struct{}, 1),
	}
	s.start = s.now()
	s.closing, s.stopped = context.WithCancel(context.Background())
	if err := s.setUp(); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("the server of AWS cannot listen: %w", err)
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.busy.Go(func() {
		if err := s.http.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("the server of AWS ended", "error", err)
		}
	})
	if cfg.Now == nil {
		s.busy.Go(s.run)
	}
	return s, nil
}

func (s *Server) setUp() error {
	for i := range s.cfg.Images {
		s.images[s.cfg.Images[i].ID] = &s.cfg.Images[i]
	}
	for name, public := range s.cfg.KeyPairs {
		key, err := newKeyPair(name, public)
		if err != nil {
			return fmt.Errorf("Config.KeyPairs: the key %q: %w", name, err)
		}
		s.keys[name] = key
	}
	s.network = newNetwork(s.cfg.Region)
	var err error
	if s.account, err = newAccount(&s.cfg); err != nil {
		return err
	}
	for i := range s.cfg.Groups {
		if err := s.addConfigured(&s.cfg.Groups[i]); err != nil {
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
	for _, in := range s.instances {
		if in.machine != nil {
			in.machine.Stop()
			in.machine = nil
		}
	}
}

// URL returns the endpoint of all services.
func (s *Server) URL() string { return s.url }

// Env returns the environment that a client needs: the first credential, the region and the endpoint.
func (s *Server) Env() []string {
	s.mu.Lock()
	key, c := s.account.first()
	s.mu.Unlock()
	env := []string{
		"AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=" + c.Secret, "AWS_REGION=" + s.cfg.Region, "AWS_DEFAULT_REGION=" + s.cfg.Region,
		"AWS_ENDPOINT_URL=" + s.url, "AWS_EC2_METADATA_DISABLED=true",
	}
	if c.Token != "" {
		env = append(env, "AWS_SESSION_TOKEN="+c.Token)
	}
	return env
}

// Calls returns how often each action was asked for, as "service:Action", with the calls that were refused.
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

// run does what is due in real time.
func (s *Server) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		s.advance()
		wait := time.Hour
		if at, ok := s.next(); ok {
			wait = max(at-s.elapsed(), time.Millisecond)
		}
		s.rounds++
		select {
		case <-s.wake: // by this round itself
		default:
		}
		s.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.closing.Done():
			return
		}
	}
}

// changed wakes run, because something may be due earlier now.
func (s *Server) changed() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// requestID is a random UUID, as AWS's are.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
