package winrm

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestWhatIsSentAgain: the server takes a request on a connection that it answered before, and hangs up. Whether it acted on the request is unknown. Only
// a request that may be carried out twice is sent again: not a command, not a piece of stdin, and no question for output, which is given out once.
func TestWhatIsSentAgain(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		call func(*Client) error
		want int64
	}{
		"create":  {func(c *Client) error { _, err := c.CreateShell(ctx, nil); return err }, 2},
		"delete":  {func(c *Client) error { return c.DeleteShell(ctx, "S") }, 2},
		"command": {func(c *Client) error { _, err := c.Command(ctx, "S", "dir", nil); return err }, 1},
		"send":    {func(c *Client) error { return c.Send(ctx, "S", "C", []byte("input"), false) }, 1},
		"receive": {func(c *Client) error { _, err := c.Receive(ctx, "S", "C"); return err }, 1},
		"end":     {func(c *Client) error { return c.Terminate(ctx, "S", "C") }, 1},
	} {
		address, taken := hangsUp(t)
		client := New(Config{Address: address, Dial: new(net.Dialer).DialContext, Methods: []Method{Basic}, Poll: time.Minute, Answer: 2 * time.Minute})
		if _, err := client.CreateShell(ctx, nil); err != nil {
			t.Fatal(err)
		}
		taken.Store(0)
		if err := c.call(client); c.want == 1 && err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := taken.Load(); got != c.want {
			t.Errorf("%s was sent %d times, want %d", name, got, c.want)
		}
		client.Close()
	}
}

// hangsUp serves connections that answer their first request and hang up at the second one. It returns its address and counts the requests.
func hangsUp(t *testing.T) (address string, taken *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	taken = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for n := range 2 {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					taken.Add(1)
					if n == 0 {
						_, _ = io.WriteString(conn, httpAnswer(200, "application/soap+xml", `<Envelope><Body><Shell><ShellId>S</ShellId></Shell></Body></Envelope>`))
					}
				}
			}()
		}
	}()
	return l.Addr().String(), taken
}
