package plugin

import (
	"context"
	"errors"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
)

// protocolVersion is the version of the wire protocol. It changes only if a host and a plugin of different versions could misunderstand
// each other.
const protocolVersion = 1

const (
	cookieKey   = "TASKSCALER_PLUGIN_COOKIE"
	cookieValue = "3c1f6f0a-taskscaler-instance-group-5b9d27e4"
	pluginName  = "instancegroup"

	envHostPID  = "TASKSCALER_PLUGIN_HOST_PID"
	envLifeline = "TASKSCALER_PLUGIN_LIFELINE_FD"
	envLogLevel = "TASKSCALER_PLUGIN_LOG_LEVEL"
)

// privateEnv returns the environment variables that are private to a host and its plugin. The plugin's children and other plugins must not
// inherit them.
func privateEnv() []string {
	return []string{
		cookieKey, envHostPID, envLifeline, envLogLevel, "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS",
		"PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", goplugin.EnvUnixSocketDir, goplugin.EnvUnixSocketGroup,
	}
}

func handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{ProtocolVersion: protocolVersion, MagicCookieKey: cookieKey, MagicCookieValue: cookieValue}
}

// wire is the go-plugin adapter for both sides; server is nil on the host.
type wire struct {
	goplugin.NetRPCUnsupportedPlugin
	server     pb.InstanceGroupServer
	registered func() // called when go-plugin has read its environment variables
}

var _ goplugin.GRPCPlugin = (*wire)(nil)

func (w *wire) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	if w.server == nil {
		return errors.New("plugin: nothing to serve")
	}
	pb.RegisterInstanceGroupServer(s, w.server)
	if w.registered != nil {
		w.registered()
	}
	return nil
}

func (w *wire) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
