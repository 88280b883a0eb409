package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// watchSize returns a channel that gets the size of the window after each change, until ctx ends.
func watchSize(ctx context.Context, t *terminal) <-chan connector.WindowSize {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	sizes := make(chan connector.WindowSize)
	go func() {
		defer signal.Stop(changed)
		for {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			select {
			case sizes <- t.size():
			case <-ctx.Done():
				return
			}
		}
	}()
	return sizes
}
