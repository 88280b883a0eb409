package faultproxy

import (
	"net"
	"net/http"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// listener refuses connections while the cloud is down, and knows those that are open.
type listener struct {
	net.Listener
	p *Proxy
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if fault, _ := l.p.now(); fault == conformance.APIDown {
			l.p.requests.Add(1) // somebody tried
			reset(c)
			continue
		}
		return l.p.keep(c), nil
	}
}

// reset ends a connection as a machine without a listener does.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// tracked is a connection that its proxy can end.
type tracked struct {
	net.Conn
	p *Proxy
}

func (p *Proxy) keep(c net.Conn) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return tracked{c, p}
}

func (t tracked) Close() error {
	t.p.mu.Lock()
	delete(t.p.conns, t.Conn)
	t.p.mu.Unlock()
	return t.Conn.Close()
}

// cutAll ends all connections.
func (p *Proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
		delete(p.conns, c)
	}
}

// one is a listener with one connection.
type one struct {
	conn  net.Conn
	given sync.Once
	over  chan struct{}
	ended sync.Once
}

func newOne(c net.Conn) *one { return &one{conn: c, over: make(chan struct{})} }

func (o *one) Accept() (net.Conn, error) {
	var c net.Conn
	o.given.Do(func() { c = o.conn })
	if c != nil {
		return c, nil
	}
	<-o.over
	return nil, net.ErrClosed
}

func (o *one) Close() error   { o.end(); return nil }
func (o *one) Addr() net.Addr { return o.conn.LocalAddr() }

func (o *one) end() { o.ended.Do(func() { close(o.over) }) }

// state ends the listener with its connection.
func (o *one) state(_ net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		o.end()
	}
}

var _ net.Listener = (*one)(nil)
