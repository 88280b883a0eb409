package connector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// ExamineTimeout is how long Examine takes at most. Give it to Dial as ConnectInfo.Timeout.
const ExamineTimeout = 15 * time.Second

// Examine makes a second contact with an instance after a first one failed: a new connection, a login and a command of ours. What a caller
// sends may break a connection, and must not count against the instance and its other jobs; so only a second contact that fails too does. If
// failed is an error of Run, the second contact also ends what is left of its command.
//
// A second contact that is only too slow proves little: then the finding is FindingDoubtful. An instance that accepts no connection at all in
// this time, while this host keeps its own time, is unusable.
//
// dial connects with network as DialOptions.Dial. The end of ctx does not stop Examine: an interrupted caller must not condemn an instance. The
// error says what failed, and is nil for FindingNone.
func Examine(ctx context.Context, failed error, dial func(ctx context.Context, network DialFunc) (Client, error)) (Finding, error) {
	return examine(ctx, ExamineTimeout, time.Now(), failed, dial)
}

// examine is Examine with another time limit. since is from when on this host's own time is observed.
func examine(ctx context.Context, timeout time.Duration, since time.Time, failed error, dial func(context.Context, DialFunc) (Client, error)) (Finding, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	var tried, accepted atomic.Bool
	own := watchClock(ctx, since)
	client, err := dial(ctx, func(ctx context.Context, network, addr string) (net.Conn, error) {
		tried.Store(true)
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			accepted.Store(true)
		}
		return conn, err
	})
	if err != nil {
		found := FindingOf(err)
		var way *JumpError
		if ctx.Err() != nil && found == FindingNone && !errors.As(err, &way) {
			found = FindingDoubtful
		}
		var beyond *beyondError
		if found == FindingDoubtful && tried.Load() && (!accepted.Load() || errors.As(err, &beyond)) && !own.late() {
			found = FindingUnusable
		}
		return found, fmt.Errorf("%w; then a new connection failed: %w", failed, err)
	}
	defer func() { _ = client.Close() }()
	var left interface {
		End(ctx context.Context, c Client) error
		unended() bool
	}
	if errors.As(failed, &left) && left.unended() {
		if err := left.End(ctx, client); err == nil {
			return FindingNone, nil
		}
	}
	err = remains{}.End(ctx, client)
	var exit *ExitError
	switch {
	case err == nil && left != nil && left.unended():
		return FindingDoubtful, fmt.Errorf("%w; what is left of the command could not be ended over a new connection", failed)
	case err == nil:
		return FindingNone, nil
	case errors.As(err, &exit):
		return FindingUnusable, fmt.Errorf("%w; then a new connection worked, and a trivial command failed on it: %w", failed, err)
	}
	return max(FindingOf(err), FindingDoubtful), fmt.Errorf("%w; then a new connection worked, but no command did: %w", failed, err)
}

// unended reports whether a process or a shell of the command is known that may still run.
func (r remains) unended() bool { return r.pid > 0 || r.shell != "" }

const (
	clockTick = 50 * time.Millisecond
	clockLate = 500 * time.Millisecond
)

// ownClock observes whether this process is run in time. If it is not, it may also have been too slow to read an answer.
type ownClock struct {
	last  atomic.Int64 // when it last ran, in nanoseconds since start
	worst atomic.Int64 // the longest delay
	start time.Time
}

func watchClock(ctx context.Context, since time.Time) *ownClock {
	c := &ownClock{start: since}
	go func() {
		ticker := time.NewTicker(clockTick)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				c.ran(time.Since(c.start))
			}
		}
	}()
	return c
}

// ran notes that the process ran at this time since start.
func (c *ownClock) ran(at time.Duration) {
	delay := int64(at) - c.last.Swap(int64(at)) - int64(clockTick)
	if delay > c.worst.Load() {
		c.worst.Store(delay)
	}
}

// late reports whether the process was once not run for clockLate.
func (c *ownClock) late() bool {
	behind := int64(time.Since(c.start)) - c.last.Load() - int64(clockTick)
	return max(behind, c.worst.Load()) > int64(clockLate)
}
