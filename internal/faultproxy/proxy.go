package faultproxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// Options are the settings of a proxy. The zero value is the usual one.
type Options struct {
	// Transport carries the requests on to the cloud. Nil: one like http.DefaultTransport, which uses the proxy of the environment.
	Transport http.RoundTripper
	// Answers are the bodies of the answers 401, 403, 404, 429 and 500, for clients that must be able to read them. One that is missing is JSON in a form that many
	// APIs have.
	Answers map[conformance.APIFault]Answer
}

// Answer is the body of an answer.
type Answer struct {
	Type string `json:"type"` // empty: application/json
	Body string `json:"body"`
}

// Proxy is a running proxy. It is a [conformance.API].
type Proxy struct {
	authority *authority
	address   string
	file      string // the certificate of the authority
	server    *http.Server
	forward   *httputil.ReverseProxy
	answers   map[conformance.APIFault]Answer
	requests  atomic.Int64
	open      atomic.Int64

	mu     sync.Mutex
	fault  conformance.APIFault
	mended chan struct{} // closed when the fault ends
	conns  map[net.Conn]struct{}
}

var _ conformance.API = (*Proxy)(nil)

// Start starts a proxy on a free port of this machine. It writes the certificate of its authority into dir.
func Start(dir string, o Options) (*Proxy, error) {
	a, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{authority: a, answers: o.Answers, file: filepath.Join(dir, "proxy-ca.pem"), conns: map[net.Conn]struct{}{}, mended: make(chan struct{})}
	if err := os.WriteFile(p.file, a.pem(), 0o600); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	transport := o.Transport
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // the plugin sees every fault itself
	p.forward = &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, ErrorLog: quiet, ModifyResponse: p.cut, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.Host = r.In.Host
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p.address = l.Addr().String()
	p.server = &http.Server{Handler: p, ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener{l, p}) }() // it ends with Close
	return p, nil
}

// Env returns the variables that make a plugin use the proxy and trust it: those of Go, and of the usual SDKs and tools.
func (p *Proxy) Env() []string {
	url := "http://" + p.address
	env := []string{"NO_PROXY=", "no_proxy="}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		env = append(env, name+"="+url)
	}
	for _, name := range []string{"SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"} {
		env = append(env, name+"="+p.file)
	}
	return env
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	p.Mend()
	err := p.server.Close()
	p.cutAll() // those that were taken over for HTTPS
	return errors.Join(err, os.Remove(p.file))
}

// Requests implements conformance.API.
func (p *Proxy) Requests() int { return int(p.requests.Load()) }

// Open implements conformance.API.
func (p *Proxy) Open() int { return int(p.open.Load()) }

// Break implements conformance.API.
func (p *Proxy) Break(f conformance.APIFault) {
	p.Mend()
	p.mu.Lock()
	p.fault, p.mended = f, make(chan struct{})
	p.mu.Unlock()
	if f == conformance.APIDown {
		p.cutAll()
	}
}

// Mend implements conformance.API.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != "" {
		p.fault = ""
		close(p.mended)
	}
}

func (p *Proxy) now() (conformance.APIFault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.mended
}

// ServeHTTP handles a request to the proxy: one for a plain URL, or CONNECT, behind which TLS follows.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		p.intercept(w, r)
	case r.URL.Host == "":
		http.Error(w, "this is a proxy: it takes only requests for other hosts", http.StatusBadRequest)
	default:
		p.serve(w, r)
	}
}

// serve answers a request as the fault wants it, or passes it on.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	p.open.Add(1)
	defer p.open.Add(-1)
	fault, mended := p.now()
	switch fault {
	case "", conformance.APIHalf:
		p.forward.ServeHTTP(w, r)
	case conformance.APIDown:
		panic(http.ErrAbortHandler) // the connection ends without an answer
	case conformance.APISlow:
		_, _ = io.Copy(io.Discard, r.Body) // net/http sees that a client has left only when it has the whole request
		select {
		case <-mended:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	default:
		p.refuse(w, fault)
	}
}

// refuse answers with the status of a fault.
func (p *Proxy) refuse(w http.ResponseWriter, fault conformance.APIFault) {
	status := fault.Status()
	answer, ok := p.answers[fault]
	if !ok {
		answer.Body = fmt.Sprintf(`{"error":{"code":%d,"message":"planted by taskscaler plugin test: %s","errors":[]},"message":"planted by taskscaler plugin test"}`+"\n",
			status, http.StatusText(status))
	}
	if answer.Type == "" {
		answer.Type = "application/json"
	}
	if fault == conformance.APIThrottled {
		w.Header().Set("Retry-After", strconv.Itoa(int(conformance.APIRetryAfter/time.Second)))
	}
	w.Header().Set("Content-Type", answer.Type)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer.Body)
}

// cut makes half an answer of an answer.
func (p *Proxy) cut(r *http.Response) error {
	if fault, _ := p.now(); fault != conformance.APIHalf {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return err
	}
	r.Body.Close()
	r.Body = &half{left: body[:len(body)/2]}
	if r.ContentLength < 0 {
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return nil
}

var errCut = errors.New("the fault cuts the answer here")

// half is a body that breaks.
type half struct{ left []byte }

func (h *half) Read(b []byte) (int, error) {
	if len(h.left) == 0 {
		return 0, errCut
	}
	n := copy(b, h.left)
	h.left = h.left[n:]
	return n, nil
}

func (h *half) Close() error { return nil }

// intercept takes over the connection of a CONNECT, and serves the requests that come behind its TLS.
func (p *Proxy) intercept(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		http.Error(w, "CONNECT wants host:port", http.StatusBadRequest)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	secure := tls.Server(conn, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.authority.certificate(host) }})
	one := newOne(secure)
	inner := &http.Server{ErrorLog: p.server.ErrorLog, ReadHeaderTimeout: time.Minute, ConnState: one.state,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Scheme, r.URL.Host = "https", net.JoinHostPort(host, port)
			if port == "443" {
				r.URL.Host = host
			}
			p.serve(w, r)
		})}
	_ = inner.Serve(one) // it ends with the connection
}
