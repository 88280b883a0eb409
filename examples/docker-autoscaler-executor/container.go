package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/taskscaler/taskscaler/examples/runner"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// The labels of a container. Only one lease at a time has a slot of an instance, so a container with the labels of a slot belongs to the present
// lease, or is left from an earlier one.
const (
	instanceLabel = "com.github.taskscaler.instance"
	slotLabel     = "com.github.taskscaler.slot"
	jobLabel      = "com.github.taskscaler.job" // for people
)

func labels(lease *taskscaler.Lease) map[string]string {
	return map[string]string{instanceLabel: lease.InstanceID(), slotLabel: strconv.Itoa(lease.Slot()), jobLabel: lease.Key()}
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// containerName is another one for each lease, because each lease is another use of its instance.
func containerName(lease *taskscaler.Lease) string {
	return fmt.Sprintf("taskscaler-%s-slot-%d-use-%d", notInName.ReplaceAllString(lease.InstanceID(), "_"), lease.Slot(), lease.Use())
}

// createTime is how long the engine may take to create a container from an image that it has.
const createTime = time.Minute

// create makes the container, and does not start it. It does not end with ctx: the engine may go on creating for a caller that is gone, and then
// nothing removes the container.
func create(ctx context.Context, engine *client.Client, lease *taskscaler.Lease, image string, volumes []string) error {
	creating, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTime)
	defer cancel()
	_, err := engine.ContainerCreate(creating, client.ContainerCreateOptions{
		Name: containerName(lease),
		Config: &container.Config{
			Image: image, Labels: labels(lease),
			// The script comes over standard input, with its variables: `docker inspect` shows neither. The entrypoint of the image is not used.
			Entrypoint: []string{"sh", "-s"}, OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		},
		HostConfig: &container.HostConfig{Binds: volumes},
	})
	if err != nil {
		return fmt.Errorf("create a container of %s: %w", image, err)
	}
	return context.Cause(ctx)
}

// run starts the container, sends the script to its shell, and waits for its end.
func run(ctx context.Context, engine *client.Client, name, script string, stdout, stderr io.Writer) error {
	streams, err := engine.ContainerAttach(ctx, name, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("%w: attach to the container: %w", runner.ErrNotStarted, err)
	}
	exit := engine.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if err := start(ctx, engine, name); err != nil {
		streams.Close()
		return err
	}
	copied := make(chan error, 1)
	var copying sync.WaitGroup
	copying.Go(func() {
		_, err := stdcopy.StdCopy(stdout, stderr, streams.Reader)
		copied <- err
	})
	go func() {
		_, _ = io.WriteString(streams.Conn, script) // a shell that ends early does not read all of it
		_ = streams.CloseWrite()
	}()
	code, err := wait(ctx, exit, copied)
	streams.Close()
	copying.Wait() // nothing is written after the end of run
	switch {
	case err != nil:
		return err
	case code != 0:
		return &runner.BuildError{ExitCode: code}
	}
	return nil
}

// start starts the container. Its shell has no script yet, so nothing of the job runs.
func start(ctx context.Context, engine *client.Client, name string) error {
	_, err := engine.ContainerStart(ctx, name, client.ContainerStartOptions{})
	switch {
	case err == nil:
		return nil
	case errdefs.IsInvalidArgument(err):
		return &runner.BuildError{Err: fmt.Errorf("the image cannot run the script: it needs a POSIX shell, sh: %w", err)}
	}
	return fmt.Errorf("%w: start the container: %w", runner.ErrNotStarted, err)
}

// outputTime is how long the end of the output may come after the end of the container.
const outputTime = 10 * time.Second

// wait waits for the end of the container, and then for the end of its output.
func wait(ctx context.Context, exit client.ContainerWaitResult, copied <-chan error) (code int, err error) {
	for ended := false; ; {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case err := <-exit.Error:
			return 0, fmt.Errorf("wait for the container: %w", err)
		case status := <-exit.Result:
			if status.Error != nil {
				return 0, fmt.Errorf("wait for the container: %s", status.Error.Message)
			}
			code = int(status.StatusCode)
			if ended {
				return code, nil
			}
			limited, cancel := context.WithTimeoutCause(ctx, outputTime, errors.New("the container ended, and its output did not"))
			defer cancel()
			ctx, exit, ended = limited, client.ContainerWaitResult{}, true
		case err := <-copied:
			if err != nil {
				return 0, fmt.Errorf("read the output of the container: %w", err)
			}
			if ended {
				return code, nil
			}
			copied, ended = nil, true
		}
	}
}

// removeContainers kills and removes every container of the slot, until there is none.
func removeContainers(ctx context.Context, engine *client.Client, lease *taskscaler.Lease) error {
	mine := make(client.Filters).Add("label", instanceLabel+"="+lease.InstanceID(), slotLabel+"="+strconv.Itoa(lease.Slot()))
	for {
		found, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
		if err != nil || len(found.Items) == 0 {
			return err
		}
		for _, c := range found.Items {
			_, err := engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			// A conflict: its removal is in progress. The next list shows whether it is gone.
			if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
				return fmt.Errorf("remove the container %s: %w", c.ID, err)
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
