package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/taskscaler/taskscaler/internal/control"
)

// watchEvery is the time between two updates of status --watch.
const watchEvery = time.Second

func newStatus(env environment) *cobra.Command {
	var flags socketFlags
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the instances, leases and waits of the running manager",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			show := showText
			if asJSON {
				show = showJSON
			}
			manager, err := flags.client(env)
			if err != nil {
				return failed(err)
			}
			ask := func() (control.Status, error) { return manager.Status(soon, flags.runner) }
			if watch {
				return failed(watchStatus(soon, env.stdout, ask, show))
			}
			status, err := ask()
			if err != nil {
				return failed(err)
			}
			return failed(unlessUnread(show(env.stdout, status)))
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON; with --watch, one document per line")
	cmd.Flags().BoolVar(&watch, "watch", false, "repeat every second, until interrupted")
	return cmd
}

// watchStatus shows the status until ctx ends. On a terminal, each status replaces the one before.
func watchStatus(ctx context.Context, w io.Writer, ask func() (control.Status, error), show func(io.Writer, control.Status) error) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		status, err := ask()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var page strings.Builder
		if err := show(&page, status); err != nil {
			return err
		}
		if isTerminal(w) {
			_, err = fmt.Fprint(w, "\x1b[H\x1b[2J", page.String())
		} else {
			_, err = fmt.Fprint(w, page.String())
		}
		if err != nil {
			return unlessUnread(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// unlessUnread returns err, the error of a write. It returns nil if the reader has closed the pipe, which is not a failure.
func unlessUnread(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func showJSON(w io.Writer, status control.Status) error { return json.NewEncoder(w).Encode(status) }
