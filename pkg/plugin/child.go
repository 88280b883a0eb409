package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	goprunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
)

const (
	killPatience = 2 * time.Second // how long go-plugin's Kill may take before the process group is killed
	lastWords    = 5               // lines of standard error in an error message
)

// child is one process of the plugin.
type child struct {
	client   *goplugin.Client
	rpc      pb.InstanceGroupClient
	health   grpc_health_v1.HealthClient
	run      *runner // set when go-plugin has started it
	starting atomic.Pointer[runner]
	dir      *socketDir
	pid      int
	born     time.Time
	answers  answers
	probing  atomic.Bool
	hung     atomic.Bool
	ending   sync.Once
}

// startChild starts the process and connects to it. It leaves nothing behind when it fails.
func startChild(ctx context.Context, o *LaunchOptions, log *slog.Logger, redact *redactor) (*child, error) {
	if err := inspect(o.Path, o.InsecurePath); err != nil {
		return nil, err
	}
	dir, err := newSocketDir()
	if err != nil {
		return nil, err
	}
	binary := o.Path
	if o.SHA256 != "" {
		if binary, err = copyChecked(o.Path, o.SHA256, o.SHA256From, dir.path); err != nil {
			dir.remove()
			return nil, err
		}
	}
	c := &child{dir: dir, born: time.Now()}
	c.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: handshake(),
		Plugins:         goplugin.PluginSet{pluginName: &wire{}},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (goprunner.Runner, error) {
			r, err := newRunner(o, binary, spec, dir.path, log, redact)
			if err != nil {
				return nil, err
			}
			c.starting.Store(r)
			return r, nil
		},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		StartTimeout:     o.StartTimeout + killPatience, // longer than ours, which therefore ends first
		Logger:           hclog.NewNullLogger(),
		SkipHostEnv:      true, // the runner adds it, filtered
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir.path},
	})
	if err := c.connect(ctx, o); err != nil {
		return nil, err
	}
	log.Debug("plugin started", slog.Int("pid", c.pid))
	return c, nil
}

type connected struct {
	conn *grpc.ClientConn
	err  error
}

// connect waits for the handshake. If ctx or the start timeout ends first, it kills the process, so that go-plugin stops waiting.
func (c *child) connect(ctx context.Context, o *LaunchOptions) error {
	limit, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	done := make(chan connected, 1)
	go func() {
		conn, err := c.dispense()
		if err == nil { // use the connection once: gRPC connects only when it is used
			_, err = grpc_health_v1.NewHealthClient(conn).Check(limit, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
		}
		done <- connected{conn, err}
	}()
	var gaveUp error
	var got connected
	select {
	case got = <-done:
	case <-limit.Done():
		gaveUp = limit.Err()
		got = c.forceOut(done)
	}
	c.run = c.starting.Load()
	if got.err == nil && gaveUp == nil {
		c.rpc, c.health, c.pid = pb.NewInstanceGroupClient(boundedConn{got.conn}), grpc_health_v1.NewHealthClient(got.conn), int(c.run.pid.Load())
		return nil
	}
	err := classify(o.Path, c.run, got.err, gaveUp, ctx.Err())
	c.end()
	return err
}

// forceOut kills the process until go-plugin has given up. It repeats this, because the process may not have been started yet.
func (c *child) forceOut(done <-chan connected) connected {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if r := c.starting.Load(); r != nil {
			_ = r.Kill(context.Background())
		}
		select {
		case got := <-done:
			return got
		case <-tick.C:
		}
	}
}

func (c *child) dispense() (*grpc.ClientConn, error) {
	protocol, err := c.client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(pluginName)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return nil, errors.New("go-plugin did not return a gRPC connection")
	}
	return conn, nil
}

// alive asks the plugin's health service. It asks a second time if there was no answer, because this host may have been suspended meanwhile.
func (c *child) alive(ctx context.Context, each time.Duration) bool {
	for range 2 {
		ask, cancel := context.WithTimeout(ctx, each)
		_, err := c.health.Check(ask, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
		cancel()
		if err == nil || ctx.Err() != nil || c.run.hasExited() {
			return true // an exit is handled by watch
		}
	}
	return false
}

// kill kills the process group without go-plugin. It works on a stopped process too.
func (c *child) kill() { _ = c.run.Kill(context.Background()) }

// end ends go-plugin's goroutines and the process, and removes the socket folder. It returns when nothing is left.
func (c *child) end() {
	c.ending.Do(func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.client.Kill()
		}()
		select {
		case <-done:
		case <-time.After(killPatience):
			c.kill()
			<-done
		}
		if c.run != nil && c.run.pid.Load() != 0 {
			<-c.run.exited
			<-c.run.pumped
		}
		c.dir.remove()
	})
}

// shutdown calls the group's Shutdown and then ends the process. It does not wait for a plugin that hangs.
func (c *child) shutdown(ctx context.Context, o *LaunchOptions, redact *redactor) error {
	ctx, cancel := context.WithTimeout(ctx, o.ShutdownTimeout)
	defer cancel()
	var asking sync.WaitGroup
	asking.Go(func() {
		if !c.alive(ctx, o.PingTimeout/2) {
			c.hung.Store(true)
			cancel()
		}
	})
	resp, err := c.rpc.Shutdown(ctx, &pb.ShutdownRequest{})
	cancel()
	asking.Wait()
	if err != nil && !c.run.hasExited() {
		c.kill()
	}
	c.end()
	if err != nil {
		return fmt.Errorf("the plugin did not shut down and was killed: %w", err)
	}
	return failureFromWire(resp.GetFailure(), redact.text)
}

// obituary returns how the process ended.
func (c *child) obituary() string {
	switch {
	case c.hung.Load():
		return "it hung and was killed"
	case c.run.waitErr == nil:
		return "it exited with exit code 0"
	}
	return "it ended: " + c.run.waitErr.Error()
}
