package connector_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// TestSshdWait: a connection that nothing uses is lost, or closed, and whoever waits for that is told. So is one whose context ends.
func TestSshdWait(t *testing.T) {
	s := startSSHD(t)
	var below net.Conn
	dial := func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		below, err = new(net.Dialer).DialContext(ctx, network, addr)
		return below, err
	}
	for name, end := range map[string]func(connector.Client, context.CancelFunc) error{
		"lost":    func(connector.Client, context.CancelFunc) error { return below.Close() },
		"closed":  func(c connector.Client, _ context.CancelFunc) error { return c.Close() },
		"context": func(_ connector.Client, cancel context.CancelFunc) error { cancel(); return nil },
	} {
		c, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{Dial: dial}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan error, 1)
		go func() { told <- c.(connector.Waiter).Wait(ctx) }()
		if err := end(c, cancel); err != nil {
			t.Fatal(err)
		}
		var lost *connector.LostError
		if err := <-told; errors.As(err, &lost) != (name != "context") || name == "context" && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		_ = c.Close()
	}
}
