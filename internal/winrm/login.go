package winrm

import (
	"context"
	"crypto"
	"crypto/rand"
	_ "crypto/sha512" // hashes of certificates
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/winrm/ntlm"
)

// Method is a way to log in.
type Method string

// The methods.
const (
	NTLM  Method = "ntlm"
	Basic Method = "basic"
)

// LoginError means that the server refused the login.
type LoginError struct {
	Offered []string // the schemes that the server offers: "Negotiate", "Basic"
	Unasked bool     // the server offers none of the methods that may be used, so nothing was sent
	Err     error    // why NTLM failed before the server could refuse it; nil: the server refused
}

// Error says what the server offers.
func (e *LoginError) Error() string {
	offered := "nothing"
	if len(e.Offered) > 0 {
		offered = strings.Join(e.Offered, ", ")
	}
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Unasked:
		return "the server does not offer this method (it offers " + offered + ")"
	}
	return "the server refused it (it offers " + offered + ")"
}

// Unwrap returns Err.
func (e *LoginError) Unwrap() error { return e.Err }

// offers returns the schemes of a reply with status 401.
func offers(h http.Header) (list []string) {
	for _, v := range h.Values("WWW-Authenticate") {
		for part := range strings.SplitSeq(v, ",") {
			scheme, _, _ := strings.Cut(strings.TrimSpace(part), " ")
			if scheme = safetext.Line(scheme, 40); scheme != "" && !strings.Contains(scheme, "=") && !slices.Contains(list, scheme) && len(list) < 8 {
				list = append(list, scheme)
			}
		}
	}
	return list
}

// open dials a connection and logs in with the first method that the server offers.
func (c *Client) open(ctx context.Context) (*channel, error) {
	var unasked error
	for _, m := range c.methods() {
		ch, err := c.openWith(ctx, m)
		if err == nil {
			c.mu.Lock()
			c.method = m
			c.mu.Unlock()
			return ch, nil
		}
		var login *LoginError
		if !errors.As(err, &login) || !login.Unasked {
			return nil, err
		}
		unasked = err
	}
	return nil, unasked
}

// methods returns what to try. A method that worked once is the only one from then on.
func (c *Client) methods() []Method {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.method != "" {
		return []Method{c.method}
	}
	return c.config.Methods
}

func (c *Client) openWith(ctx context.Context, m Method) (*channel, error) {
	conn, err := c.config.Dial(ctx, "tcp", c.config.Address)
	if err != nil {
		if ctx.Err() != nil {
			err = causeOf(ctx, err)
		}
		return nil, err
	}
	if !c.track(conn) {
		_ = conn.Close()
		return nil, ErrClosed
	}
	ch, err := c.login(ctx, conn, m)
	if err != nil {
		c.drop(conn)
		return nil, err
	}
	return ch, nil
}

func (c *Client) login(ctx context.Context, raw net.Conn, m Method) (*channel, error) {
	conn, binding := raw, ntlm.Binding(nil)
	if c.config.TLS != nil {
		secure := tls.Client(raw, c.config.TLS)
		if err := handshake(ctx, raw, secure); err != nil {
			return nil, err
		}
		conn = secure
		if certs := secure.ConnectionState().PeerCertificates; len(certs) > 0 {
			binding = ntlm.BindTo(endpointHash(certs[0]))
		}
	}
	ch := newChannel(raw, conn, c.url)
	if m == Basic {
		ch.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.config.Username+":"+c.config.Password.Reveal()))
		return ch, nil
	}
	session, err := c.negotiate(ctx, ch, binding)
	if c.config.TLS == nil {
		ch.session = session
	}
	return ch, err
}

// handshake is a TLS handshake that ends with ctx on any connection.
func handshake(ctx context.Context, raw net.Conn, secure *tls.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	err := secure.Handshake()
	if !stop() {
		return causeOf(ctx, err)
	}
	return err
}

// negotiate logs the connection in with NTLM. The messages of NTLM go under the scheme Negotiate without a wrapping, which Windows accepts.
func (c *Client) negotiate(ctx context.Context, ch *channel, binding ntlm.Binding) (*ntlm.Session, error) {
	first := ntlm.Negotiate()
	r, err := ch.post(ctx, nil, plainHeader, scheme+base64.StdEncoding.EncodeToString(first))
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusUnauthorized {
		return nil, &StatusError{Status: r.status}
	}
	asked := challengeOf(r.header)
	if asked == nil || r.last {
		offered := offers(r.header)
		return nil, &LoginError{Offered: offered, Unasked: !slices.ContainsFunc(offered, func(s string) bool { return strings.EqualFold(s, "Negotiate") })}
	}
	domain, user := ntlm.ParseUser(c.config.Username)
	login := ntlm.Login{Domain: domain, User: user, Password: c.config.Password}
	host, _, _ := net.SplitHostPort(c.config.Address)
	answer, session, err := login.Authenticate(first, asked, host, binding, time.Now(), rand.Reader)
	if err != nil {
		return nil, &LoginError{Offered: offers(r.header), Err: err}
	}
	r, err = ch.post(ctx, nil, plainHeader, scheme+base64.StdEncoding.EncodeToString(answer))
	switch {
	case err != nil:
		return nil, err
	case r.status == http.StatusUnauthorized:
		return nil, &LoginError{Offered: offers(r.header)}
	case r.last:
		return nil, fmt.Errorf("%w: it ends the connection after the login", ErrAnswer)
	}
	return session, nil
}

const scheme = "Negotiate "

// challengeOf returns the message of NTLM in a reply with status 401; nil: there is none.
func challengeOf(h http.Header) []byte {
	for _, v := range h.Values("WWW-Authenticate") {
		if len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
			if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(v[len(scheme):])); err == nil {
				return b
			}
		}
	}
	return nil
}

// endpointHash is the hash of a certificate that a login is bound to: that of its own signature, and SHA-256 instead of older ones (RFC 5929, 4.1).
func endpointHash(cert *x509.Certificate) []byte {
	hash := crypto.SHA256
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	}
	h := hash.New()
	_, _ = h.Write(cert.Raw)
	return h.Sum(nil)
}
