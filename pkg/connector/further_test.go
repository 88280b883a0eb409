package connector_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// countingDial counts the connections that were opened, and those that are open.
type countingDial struct{ opened, open atomic.Int32 }

type countedConn struct {
	net.Conn
	once sync.Once
	open *atomic.Int32
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func (d *countingDial) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.opened.Add(1)
	d.open.Add(1)
	return &countedConn{Conn: conn, open: &d.open}, nil
}

// heldCommands starts commands that run at the same time until release is called. It returns their errors then.
func heldCommands(t *testing.T, c connector.Client, n int) (release func() []error) {
	t.Helper()
	hold := make(chan struct{})
	errs := make([]error, n)
	var running, done sync.WaitGroup
	running.Add(n)
	for i := range n {
		out, in := io.Pipe()
		done.Go(func() {
			input, end := io.Pipe()
			go func() {
				<-hold
				_ = end.Close()
			}()
			errs[i] = c.Run(t.Context(), connector.RunOptions{Command: "echo up; cat", Stdin: input, Stdout: in})
			_ = in.Close()
		})
		go func() {
			_, _ = bufio.NewReader(out).ReadString('\n')
			running.Done()
			_, _ = io.Copy(io.Discard, out)
		}()
	}
	running.Wait()
	return func() []error { close(hold); done.Wait(); return errs }
}

// TestSshdMaxSessions: more sessions than the server allows on one connection get further connections, which later sessions use again. Close closes all of
// them.
func TestSshdMaxSessions(t *testing.T) {
	var network countingDial
	c, err := connector.Dial(t.Context(), startSSHD(t, "MaxSessions 2").info, quick(connector.DialOptions{Dial: network.dial}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i, err := range heldCommands(t, c, 11)() {
			if err != nil {
				t.Errorf("command %d of 11: %v", i, err)
			}
		}
	}
	if n := network.opened.Load(); n < 6 || n > 8 { // sessions that are refused at the same time may open one more
		t.Errorf("11 commands had %d connections with two sessions each", n)
	}
	release := heldCommands(t, c, 2)
	before := network.opened.Load()
	conn, err := c.DialRun(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	from := write(t, filepath.Join(t.TempDir(), "from"), []byte("content"))
	if err := connector.Upload(t.Context(), c, connector.CopyOptions{Local: from, Remote: from + ".copy"}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(release()...); err != nil {
		t.Error(err)
	}
	if network.opened.Load() != before {
		t.Error("a further connection was opened, although others were free")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n := network.open.Load(); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
	var lost *connector.LostError
	if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); !errors.As(err, &lost) || !errors.Is(err, connector.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestSshdFurtherConnectionFails: one attempt at a further connection that fails does not fail the session; as many as a server that refuses do.
func TestSshdFurtherConnectionFails(t *testing.T) {
	for fails, works := range map[int32]bool{1: true, 2: true, 3: false} {
		var dials atomic.Int32
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			if n := dials.Add(1); n > 1 && n <= 1+fails {
				return nil, os.ErrDeadlineExceeded
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		s := startSSHD(t, "MaxSessions 1")
		if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{}), connector.RunOptions{Command: "true"}); err != nil { // it is ready
			t.Fatal(err)
		}
		c, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{Dial: dial}))
		if err != nil {
			t.Fatal(err)
		}
		release := heldCommands(t, c, 1)
		var refused *connector.RefusedError
		if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); (err == nil) != works || !works && !errors.As(err, &refused) {
			t.Errorf("after %d failed attempts: %v", fails, err)
		}
		if err := errors.Join(release()...); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
}

// TestSshdFurtherConnectionIsLost: what runs on it is lost, and the others go on. Later sessions get a new one.
func TestSshdFurtherConnectionIsLost(t *testing.T) {
	c, err := connector.Dial(t.Context(), startSSHD(t, "MaxSessions 1").info, quick(connector.DialOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	release := heldCommands(t, c, 1)
	var lost *connector.LostError
	if err := c.Run(t.Context(), connector.RunOptions{Command: "kill -9 $PPID; sleep 100"}); !errors.As(err, &lost) {
		t.Errorf("its connection was cut: %v", err)
	}
	if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if err := release()[0]; err != nil {
		t.Errorf("the first one: %v", err)
	}
}

// TestSshdNoSessionsAtAll: a server that refuses each session is refusing, and is not asked for ever.
func TestSshdNoSessionsAtAll(t *testing.T) {
	var network countingDial
	c, err := connector.Dial(t.Context(), startSSHD(t, "MaxSessions 0").info, quick(connector.DialOptions{Dial: network.dial}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var refused *connector.RefusedError
	if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); !errors.As(err, &refused) || refused.Command || connector.FindingOf(err) != connector.FindingUnusable {
		t.Errorf("got %v", err)
	}
	if n := network.opened.Load(); n > 4 {
		t.Errorf("%d connections were opened", n)
	}
}
