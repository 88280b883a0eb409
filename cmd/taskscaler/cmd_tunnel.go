package main

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/jobexec"
)

func newTunnel(env environment) *cobra.Command {
	var flags execFlags
	cmd := &cobra.Command{
		Use:   "tunnel [flags] KEY LOCAL:REMOTE",
		Short: "Forward a port or a socket to a leased instance",
		Long: "tunnel leases a slot from the running manager under KEY and listens on LOCAL. Each connection continues from the instance to REMOTE. It ends when\n" +
			"it is interrupted, and releases the slot.\n\n" +
			"LOCAL and REMOTE are a port of localhost, HOST:PORT, [IPv6]:PORT, or the path of a Unix socket, which has a slash:\n\n" +
			"  taskscaler tunnel debug 8080:80\n" +
			"  taskscaler tunnel docker /tmp/docker.sock:/var/run/docker.sock    then: docker -H unix:///tmp/docker.sock ps\n\n" +
			"A local Unix socket is only for its owner. A local port is for every user of this machine.\n\n" +
			"Exit codes: 130 after an interrupt (128+N for other signals), or those of exec; 123 if the lease or the connection was lost.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name the key of the lease, and both ends: tunnel [flags] KEY LOCAL:REMOTE")
			}
			if args[0] == "" {
				return errors.New("the key of the lease is empty")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := positive(cmd, "timeout"); err != nil {
				return err
			}
			forward, err := jobexec.ParseForward(args[1])
			if err != nil {
				return err
			}
			l, err := listen(cmd.Context(), forward)
			if err != nil {
				return &exitError{code: execFailed, err: err}
			}
			defer func() { _ = l.Close() }()
			flags.key = args[0]
			flags.job.Tunnel = &jobexec.Tunnel{Listener: l, Network: forward.RemoteNetwork, Remote: forward.Remote}
			return execCommand(cmd.Context(), env, flags, nil)
		},
	}
	flags.add(cmd)
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 0, "how long to wait for the slot and keep the tunnel open together (default: no limit)")
	return cmd
}

// listen listens at the local end. A socket is only for its owner.
func listen(ctx context.Context, forward jobexec.Forward) (net.Listener, error) {
	if forward.LocalNetwork == "unix" {
		defer syscall.Umask(syscall.Umask(0o177))
	}
	l, err := new(net.ListenConfig).Listen(ctx, forward.LocalNetwork, forward.Local)
	if err != nil {
		return nil, forward.NoListener(err)
	}
	return l, nil
}
