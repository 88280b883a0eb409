package plugin

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	maxMessage     = 256 << 20               // bytes; a list of ids is the largest thing a host sends
	orphanShutdown = time.Second             // what Shutdown gets when the host is gone
	orphanExit     = 1500 * time.Millisecond // and when the process ends whatever happens
)

// run serves impl until the host says so or is gone, and returns the exit code.
func run(impl provider.InstanceGroup, v VersionInfo) int {
	log := hclog.New(&hclog.LoggerOptions{
		Level: hclog.LevelFromString(orElse(os.Getenv(envLogLevel), "debug")), Output: os.Stderr, JSONFormat: true,
	})
	socketDir := os.Getenv(goplugin.EnvUnixSocketDir)
	srv := newServer(impl, v, log)
	stderr := os.Stderr
	srv.begun = func() {
		// go-plugin has put pipes of its own in their place, whose contents are lost when the process ends. A plugin's last words
		// matter most, and what it prints is log.
		os.Stdout, os.Stderr = stderr, stderr
	}
	standSignals(log)
	gone := watchHost()
	go func() {
		<-gone
		time.AfterFunc(orphanExit, func() { leave(socketDir) })
		srv.abandon(orphanShutdown)
		leave(socketDir)
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake(),
		Plugins:         goplugin.PluginSet{pluginName: &wire{server: srv, registered: dropPrivateEnv}},
		Logger:          hclog.NewNullLogger(), // its own chatter is of no use to anybody
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
		},
	})
	return 0
}

// standSignals keeps the plugin alive until its host ends it: a service manager that stops a service signals all its processes at
// once, and the host still needs the plugin to delete instances. Nor may a host that reads no more end it in the middle of Shutdown.
// (Signals that are caught, unlike ignored ones, are as always in the processes that the plugin starts.)
func standSignals(log hclog.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGPIPE)
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM {
				log.Info("SIGTERM is left to the host, which ends this plugin when it needs it no more")
			}
		}
	}()
}

// dropPrivateEnv keeps the host's cookie and certificate from the plugin's own children.
func dropPrivateEnv() {
	for _, key := range privateEnv() {
		_ = os.Unsetenv(key)
	}
}

// leave removes the socket folder that the host cannot remove any more, and ends the process.
func leave(socketDir string) {
	if strings.HasPrefix(filepath.Base(socketDir), socketDirPrefix) {
		_ = os.RemoveAll(socketDir)
	}
	os.Exit(1)
}

// abandon ends all calls and gives Shutdown the time d.
func (s *server) abandon(d time.Duration) {
	s.end(errHostGone)
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if s.ready.Load() {
		_ = s.impl.Shutdown(ctx)
	}
}

var errHostGone = errors.New("the host process is gone")
