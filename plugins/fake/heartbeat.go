package fake

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// heartbeatLimit is how long an instance may take to send its SSH greeting, if the caller sets no earlier deadline.
const heartbeatLimit = 5 * time.Second

// Heartbeat connects to an instance and reads its SSH greeting. An instance that is dead or being deleted is unhealthy. One that does not
// answer in time may only be busy, so that failure is transient.
func (g *InstanceGroup) Heartbeat(ctx context.Context, id string) error {
	f, err := g.lookUp(ctx, id)
	switch {
	case err != nil:
		return err
	case f.deleting != nil:
		return provider.Errorf(provider.KindUnhealthy, "instance %s is being deleted", id)
	case exists(f.path(unhealthyFile)):
		return provider.Errorf(provider.KindUnhealthy, "instance %s was declared unhealthy by the file %s in its folder", id, unhealthyFile)
	case f.ready == nil:
		return provider.Errorf(provider.KindTransient, "instance %s does not serve SSH yet", id)
	}
	ctx, cancel := context.WithTimeout(ctx, heartbeatLimit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", f.ready.Address)
	if err != nil {
		if ctx.Err() != nil {
			return provider.Errorf(provider.KindTransient, "instance %s does not answer: %w", id, err)
		}
		return provider.Errorf(provider.KindUnhealthy, "instance %s no longer serves SSH: %w", id, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	greeting := make([]byte, len("SSH-2.0-"))
	if n, err := conn.Read(greeting); err != nil || string(greeting[:n]) != "SSH-2.0-" {
		return provider.Errorf(provider.KindTransient, "instance %s sends no SSH greeting: %w", id, orNone(err))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func orNone(err error) error {
	if err == nil {
		return fmt.Errorf("the server at its address is not an SSH server")
	}
	return err
}
