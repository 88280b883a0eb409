package control

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spare is how many connections are kept for requests that are answered at once: a status, the release of a lease.
	spare = 16
	// lingering is how many refused connections are kept open until their client has read why.
	lingering = 8
	// lingerTime is how long one of them is kept.
	lingerTime = time.Second
	// crowdTime is how long a further refused connection waits until one of them has ended. A client that has sent its request is answered in far less,
	// so of many clients that come at once each learns why it is refused. Only clients that say nothing make others wait.
	crowdTime = 500 * time.Millisecond
	// everyTold is the time between two records in the log about refused connections.
	everyTold = time.Minute
)

// door is the listener of a Server. It refuses strangers and more connections than the server may have.
type door struct {
	net.Listener
	limit  int // 0: none
	log    *slog.Logger
	me     int // the user
	open   atomic.Int64
	linger chan struct{}

	strangers, crowd tellRarely
}

func newDoor(l net.Listener, limit int, log *slog.Logger) *door {
	return &door{Listener: l, limit: limit, log: log, me: os.Geteuid(), linger: make(chan struct{}, lingering)}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if who, known := askPeer(conn); known && who.uid != 0 && who.uid != d.me {
			if n := d.strangers.tell(); n > 0 {
				d.log.Warn("refused connections of another user to the control socket", "connections", n, "user", who.uid, "pid", who.pid)
			}
			_ = conn.Close()
			continue
		}
		if d.limit > 0 && d.open.Load() >= int64(d.limit) {
			if n := d.crowd.tell(); n > 0 {
				d.log.Warn("refused connections to the control socket: clients have as many as the limit of open files allows; raise LimitNOFILE or ulimit -Hn",
					"connections", n, "limit", d.limit)
			}
			d.turnAway(conn)
			continue
		}
		d.open.Add(1)
		return &guest{Conn: conn, door: d}, nil
	}
}

// turnAway closes a connection. It answers the request first, unless too many others are turned away and do not send theirs.
func (d *door) turnAway(conn net.Conn) {
	patience := time.NewTimer(crowdTime)
	defer patience.Stop()
	select {
	case d.linger <- struct{}{}:
		go func() {
			answerBusy(conn, d.limit)
			<-d.linger
		}()
	case <-patience.C:
		_ = conn.Close()
	}
}

// answerBusy answers the first request of a connection with CodeBusy, and closes it. It reads before and after: a client does not expect an answer
// before it has asked, and one that still writes when the connection is closed does not see the answer.
func answerBusy(conn net.Conn, limit int) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(lingerTime))
	if _, err := conn.Read(make([]byte, 512)); err != nil {
		return
	}
	body, _ := json.Marshal(Event{Error: errBusy(limit)}) // it cannot fail
	answer := http.Response{
		StatusCode: httpStatus(CodeBusy), ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
	if answer.Write(conn) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxRequest))
	}
}

func errBusy(limit int) *APIError {
	return Errorf(CodeBusy, "the manager has as many clients as its limit of open files allows (%d): wait until some have ended, or raise the limit "+
		"(LimitNOFILE= in its systemd unit, ulimit -Hn) and restart it", limit)
}

// guest is an accepted connection. Its end makes room for another one.
type guest struct {
	net.Conn
	door *door
	once sync.Once
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.once.Do(func() { g.door.open.Add(-1) })
	return g.Conn.Close()
}

// tellRarely counts what happens, and says when to put it into the log.
type tellRarely struct {
	last  time.Time
	count int
}

// tell counts one. It returns how many have not been told yet, or 0 if the last time was too recent.
func (r *tellRarely) tell() int {
	r.count++
	if now := time.Now(); now.Sub(r.last) >= everyTold {
		n := r.count
		r.last, r.count = now, 0
		return n
	}
	return 0
}
