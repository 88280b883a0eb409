// Command demo shows taskscaler at work on this machine: it starts a manager on the quickstart configuration, pushes a burst of jobs through
// `taskscaler exec`, and shows the fleet grow, the jobs land, and the fleet shrink again, at last to nothing. What it says at the end is
// read from the instances' own records.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Stdout, os.Stderr))
}

// run is the demonstration; it returns the exit code.
func run(ctx context.Context, stdout, stderr io.Writer) int {
	v := newView(stdout, terminalWidth(stdout))
	verdict, err := demonstrate(ctx, v)
	v.end()
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "demo: failed: %v\n", err)
		return 1
	}
	_, _ = fmt.Fprintln(stdout, verdict)
	return 0
}

// terminalWidth tells the width of the terminal that w is; nil: it is none.
func terminalWidth(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}
}
