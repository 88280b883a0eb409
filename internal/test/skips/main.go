// Command skips runs `go test` and shows its output. At the end it lists the skipped tests and why:
//
//	go run ./internal/test/skips -race ./...
//
// The arguments are those of go test. The exit code is that of go test.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	// An interrupt reaches go test too, which ends its tests. This program stays to show what they said.
	_, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintf(stderr, "skips: go test cannot be started: %v; install Go, or run go test without this program\n", err)
		return 1
	}
	r := newReport(stdout)
	read := r.read(events)
	waited := cmd.Wait()
	r.finish()
	if read != nil {
		fmt.Fprintf(stderr, "skips: the output of go test cannot be read: %v; run go test without this program\n", read)
		return 1
	}
	var exit *exec.ExitError
	switch {
	case waited == nil:
		return 0
	case errors.As(waited, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Fprintf(stderr, "skips: go test: %v\n", waited)
	return 1
}

// read handles every line of `go test -json`. A line that is no event is shown as it is.
func (r *report) read(from io.Reader) error {
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprintf(r.out, "%s", line)
			} else {
				r.event(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
