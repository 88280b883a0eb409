package connector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	gliderssh "github.com/gliderlabs/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func Example() {
	// A machine, for the example: it answers whatever it is told with one line, and the status 3.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	machine := &gliderssh.Server{
		PasswordHandler: func(_ gliderssh.Context, password string) bool { return password == "secret" },
		Handler: func(s gliderssh.Session) {
			_, _ = io.WriteString(s, "hello from "+s.User()+"'s machine\n")
			_ = s.Exit(3)
		},
	}
	go func() { _ = machine.Serve(listener) }()
	defer func() { _ = machine.Close() }()

	// A provider's ConnectInfo says how to reach it.
	info := provider.ConnectInfo{ID: "i-0abc", InternalAddr: listener.Addr().String()}
	info.Username, info.Password, info.Timeout = "ci", "secret", time.Minute

	ctx := context.Background()
	client, err := connector.Dial(ctx, info, connector.DialOptions{
		PinHostKey: func(key string) error { // to be kept with the instance, and put into info.HostKeys from now on
			fmt.Println("pinned a key of type", key[:len("ssh-rsa")])
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close() }()

	err = client.Run(ctx, connector.RunOptions{Command: "make test", Stdout: os.Stdout, Stderr: os.Stderr})
	var exit *connector.ExitError
	if errors.As(err, &exit) {
		fmt.Println("status", exit.ExitCode())
	}
	// Output:
	// pinned a key of type ssh-rsa
	// hello from ci's machine
	// status 3
}
