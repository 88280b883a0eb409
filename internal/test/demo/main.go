// Command demo runs taskscaler on this machine. It starts a manager with the quickstart configuration and starts a burst of jobs with
// `taskscaler exec`. It shows how the fleet grows, where the jobs run, and how the fleet shrinks, in the end to nothing. The last line is
// computed from the records of the instances.
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

// run runs the demonstration and returns the exit code.
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

// terminalWidth returns a function for the width of the terminal w, or nil if w is not a terminal.
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
