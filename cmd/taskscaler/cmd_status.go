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
	"github.com/taskscaler/taskscaler/internal/safetext"
)

// watchEvery is the time between two updates of status --watch.
const watchEvery = time.Second

// mostInstances is how many instances of a runner are listed without --all.
const mostInstances = 2_000

func newStatus(env environment) *cobra.Command {
	var flags socketFlags
	var asJSON, watch, all bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the instances, leases and waits of the running manager",
		Args:  noArguments("runner"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			soon, _, stop := signals(cmd.Context(), endings()...)
			defer stop()
			show := showText
			switch {
			case asJSON:
				show = showJSON
			case all:
				show = showAll
			}
			manager, err := flags.client(env)
			if err != nil {
				return failed(err)
			}
			ask := func() (control.Status, error) {
				if all || asJSON {
					return manager.Status(soon, flags.runner)
				}
				return manager.StatusOf(soon, flags.runner, mostInstances)
			}
			if watch {
				return failed(watchStatus(soon, env.raw.stdout, ask, show))
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
	cmd.Flags().BoolVar(&all, "all", false, "list all instances, also those that are gone; JSON always has them")
	cmd.Flags().BoolVar(&watch, "watch", false, "repeat every second, until interrupted")
	return cmd
}

// watchStatus shows the status until ctx ends. On a terminal, each status replaces the one before. w has no guard, so that the screen can be cleared.
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
		text := safetext.Escape(page.String())
		if columns, rows, ok := terminalSize(w); ok {
			text = "\x1b[H\x1b[2J" + fit(text, columns, rows)
		}
		_, err = io.WriteString(w, text)
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

// terminalSize returns the size of the terminal that w writes to. ok is false if w is no terminal.
func terminalSize(w io.Writer) (columns, rows int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < 1 || rows < 2 {
		columns, rows = 80, 24
	}
	return columns, rows, true
}

// fit cuts text to a screen. The last row says how many lines do not fit; a cut line ends with "…".
func fit(text string, columns, rows int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > rows-1 {
		hidden := len(lines) - (rows - 2)
		lines = append(lines[:rows-2:rows-2], fmt.Sprintf("… %d more lines", hidden))
	}
	for i, l := range lines {
		if r := []rune(l); len(r) > columns {
			lines[i] = string(r[:columns-1]) + "…"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func showJSON(w io.Writer, status control.Status) error { return json.NewEncoder(w).Encode(status) }
