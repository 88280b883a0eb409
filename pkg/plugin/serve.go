package plugin

import (
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
	maxMessage  = 256 << 20               // bytes; a list of ids is the largest message of a host
	orphanCalls = time.Second             // how long running calls may take to return when the host is gone
	orphanExit  = 1500 * time.Millisecond // when the host is gone, the process ends after this time at the latest
)

// run serves impl until the host ends the plugin or is gone. It returns the exit code.
func run(impl provider.InstanceGroup, v VersionInfo) int {
	log := hclog.New(&hclog.LoggerOptions{
		Level: hclog.LevelFromString(orElse(os.Getenv(envLogLevel), "debug")), Output: os.Stderr, JSONFormat: true,
	})
	socketDir := os.Getenv(goplugin.EnvUnixSocketDir)
	srv := newServer(impl, v, log)
	stderr := os.Stderr
	srv.begun = func() {
		// go-plugin has replaced them by pipes whose contents are lost when the process ends. The last output of a plugin is the most
		// important. All output goes to the host's log.
		os.Stdout, os.Stderr = stderr, stderr
	}
	standSignals(log)
	gone := watchHost()
	go func() {
		<-gone
		time.AfterFunc(orphanExit, func() { leave(socketDir) })
		srv.abandon(orphanCalls)
		leave(socketDir)
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake(),
		Plugins:         goplugin.PluginSet{pluginName: &wire{server: srv, registered: dropPrivateEnv}},
		Logger:          hclog.NewNullLogger(), // its messages help nobody
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
		},
	})
	return 0
}

// standSignals keeps the plugin running until its host ends it. A service manager that stops a service sends SIGTERM (or SIGQUIT, or SIGHUP, as
// its unit says) to all its processes at once, but the host still needs the plugin to delete instances. And a host that no longer reads must not end the plugin with SIGPIPE
// during Shutdown. (The signals are caught and not ignored: processes that the plugin starts then have the default behaviour.)
func standSignals(log hclog.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		for s := range signals {
			if s != syscall.SIGPIPE {
				log.Info("a signal is ignored: the host ends this plugin when it no longer needs it", "signal", s.String())
			}
		}
	}()
}

// dropPrivateEnv removes the host's cookie and certificate from the environment, so that the plugin's children do not inherit them.
func dropPrivateEnv() {
	for _, key := range privateEnv() {
		_ = os.Unsetenv(key)
	}
}

// leave removes the socket folder, because the host no longer can, and ends the process.
func leave(socketDir string) {
	if strings.HasPrefix(filepath.Base(socketDir), socketDirPrefix) {
		_ = os.RemoveAll(socketDir)
	}
	os.Exit(1)
}

// abandon ends the contexts of all calls and waits until they have returned, for at most d. It does not call Shutdown: a host that is gone has
// not shut down. Its next start finds the group as it is.
func (s *server) abandon(d time.Duration) {
	s.end(errHostGone)
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-s.running.idle():
	case <-limit.C:
	}
}

var errHostGone = errors.New("the host process is gone")
