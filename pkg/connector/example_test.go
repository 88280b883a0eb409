package connector_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func Example() {
	// A machine, for the example: it answers every command with one line, and the status 3.
	address, stop, err := exampleMachine("secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	// A provider's ConnectInfo says how to reach it.
	info := provider.ConnectInfo{ID: "i-0abc", InternalAddr: address}
	info.Username, info.Password, info.Timeout = "ci", "secret", time.Minute

	ctx := context.Background()
	client, err := connector.Dial(ctx, info, connector.DialOptions{
		PinHostKey: func(key string) error { // to be kept with the instance, and put into info.HostKeys from now on
			fmt.Println("pinned a key of type", key[:len("ssh-ed25519")])
			return nil
		},
		PasswordWithoutHostKey: true, // not needed with a key, which is better, or with info.HostKeys
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
	// pinned a key of type ssh-ed25519
	// hello from ci's machine
	// status 3
}
