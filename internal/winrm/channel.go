package winrm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/winrm/ntlm"
)

// channel is one connection, with its own login and keys. It carries one request at a time.
type channel struct {
	conn    net.Conn
	raw     net.Conn          // below TLS
	limit   *io.LimitedReader // of conn, so that no answer fills the memory
	in      *bufio.Reader
	url     string
	basic   string        // the Authorization header of each request; empty: the connection is logged in
	session *ntlm.Session // seals the messages; nil: they are not sealed
	used    time.Time     // when the last answer arrived
	served  bool          // it has carried a request
}

// maxAnswer bounds an answer with its headers. It is far more than envelopeSize, which servers keep to.
const maxAnswer = 4 << 20

func newChannel(raw, conn net.Conn, url string) *channel {
	limit := &io.LimitedReader{R: conn}
	return &channel{raw: raw, conn: conn, limit: limit, in: bufio.NewReader(limit), url: url}
}

// reply is an answer of HTTP.
type reply struct {
	status int
	header http.Header
	body   []byte
	last   bool // the connection ends with it
}

// post makes one request. If it fails, or the reply is the last one, the channel must be closed.
func (ch *channel) post(ctx context.Context, body []byte, contentType, authorization string) (*reply, error) {
	// A request is ended by closing the connection, not by a deadline: a connection of Config.Dial may not support deadlines.
	stop := context.AfterFunc(ctx, func() { _ = ch.raw.Close() })
	r, err := ch.roundTrip(body, contentType, authorization)
	if !stop() {
		return nil, causeOf(ctx, err)
	}
	ch.used = time.Now()
	return r, err
}

// causeOf returns why ctx ended. err is its consequence.
func causeOf(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

func (ch *channel) roundTrip(body []byte, contentType, authorization string) (*reply, error) {
	req, err := http.NewRequest(http.MethodPost, ch.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "taskscaler")
	req.Header.Set("Content-Type", contentType)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	var text bytes.Buffer
	if err := req.Write(&text); err != nil {
		return nil, err
	}
	ch.limit.N = maxAnswer
	if _, err := ch.conn.Write(text.Bytes()); err != nil {
		return nil, err
	}
	for {
		resp, err := http.ReadResponse(ch.in, req)
		if err != nil {
			return nil, ch.readError(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, ch.readError(err)
		}
		if resp.StatusCode >= 200 { // the others come before the answer
			return &reply{resp.StatusCode, resp.Header, answer, resp.Close}, nil
		}
	}
}

// readError returns err, or what it means.
func (ch *channel) readError(err error) error {
	var network net.Error
	switch {
	case ch.limit.N <= 0:
		return fmt.Errorf("%w: it has more than %d MiB", ErrAnswer, maxAnswer>>20)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return err
	}
	return fmt.Errorf("%w: it is not HTTP", ErrAnswer) // err may quote what the server sent
}

// exchange sends an envelope and returns the server's.
func (ch *channel) exchange(ctx context.Context, text []byte) (_ []byte, last bool, err error) {
	contentType := plainHeader
	if ch.session != nil {
		text, contentType = seal(ch.session, text), sealedHeader
	}
	r, err := ch.post(ctx, text, contentType, ch.basic)
	if err != nil {
		return nil, true, err
	}
	ch.served = true
	if r.status == http.StatusUnauthorized {
		return nil, true, &LoginError{Offered: offers(r.header)}
	}
	isSealed := strings.HasPrefix(strings.ToLower(r.header.Get("Content-Type")), "multipart/encrypted")
	switch {
	case ch.session != nil && isSealed:
		body, err := unseal(ch.session, r.body)
		return body, r.last || err != nil, err
	case ch.session != nil || isSealed: // somebody between us and the server may have written it
		return nil, true, &StatusError{Status: r.status, Unsealed: ch.session != nil}
	case !strings.Contains(r.header.Get("Content-Type"), "soap+xml"):
		return nil, r.last, &StatusError{Status: r.status}
	}
	return r.body, r.last, nil
}

// StatusError means that the server answered with an HTTP status alone, without an envelope that can be trusted.
type StatusError struct {
	Status   int
	Unsealed bool // an answer that should have been sealed was not
}

// Error names the status and says what it usually means.
func (e *StatusError) Error() string {
	what := fmt.Sprintf("the server answered with HTTP status %d", e.Status)
	if text := http.StatusText(e.Status); text != "" {
		what += " (" + text + ")"
	}
	switch {
	case e.Unsealed && e.Status < 300:
		return what + " and an answer that is not encrypted, which is not accepted after a login with NTLM"
	case e.Status == http.StatusNotFound:
		return what + ": no WinRM service listens at this port"
	case e.Status < 300:
		return what + " and no SOAP envelope: no WinRM service listens at this port"
	}
	return what
}
