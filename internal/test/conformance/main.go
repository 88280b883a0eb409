// Command conformance shows that the plugins of this repository pass the checks of the contract, in process and through the command, and that each fault of
// the broken plugin is found. It ends with a line of figures. make conformance runs it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/brokengroup"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// patience bounds everything after the build. Only a hang reaches it.
const patience = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "taskscaler-conformance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	root, err := stage.Build(ctx, bin, "./plugins/aws/cmd/fleeting-plugin-aws")
	if err != nil {
		return err
	}
	for name, pkg := range map[string]string{"fleeting-plugin-script": "examples/plugin-minimal", "fleeting-plugin-shed": "examples/plugin"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(bin, name), ".")
		build.Dir = filepath.Join(root, pkg)
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, said)
		}
	}
	aws, end, err := startAWS()
	if err != nil {
		return err
	}
	defer func() {
		if err := end(); err != nil {
			fmt.Fprintln(out, "ending the stand-in for AWS:", err)
		}
	}()
	all := append(sites(), aws)
	var caught int
	var tests, binaries error
	var both sync.WaitGroup
	both.Go(func() { caught, tests = inProcess(ctx, root, out) })
	both.Go(func() { binaries = throughCommand(ctx, all, dir, bin, out) })
	both.Wait()
	if err := errors.Join(tests, binaries); err != nil {
		return err
	}
	faults := len(brokengroup.Faults())
	fmt.Fprintf(out, "conformance: %d plugins, %d checks, %d/%d broken ones caught\n", len(all), len(conformance.Checks()), caught, faults)
	if caught != faults {
		return fmt.Errorf("%d of %d faults were found", caught, faults)
	}
	return nil
}

var caughtLine = regexp.MustCompile(`caught (\S+) in `)

// inProcess runs the tests: each plugin in process, and the broken one in process and as one. It returns how many of its faults were found.
func inProcess(ctx context.Context, root string, out io.Writer) (caught int, err error) {
	var mu sync.Mutex
	var said bytes.Buffer
	var failures []error
	var all sync.WaitGroup
	for dir, packages := range map[string][]string{
		root: {"./pkg/provider/conformance", "./internal/plugincheck", "./plugins/fake", "./plugins/static", "./examples/plugin-minimal"}, filepath.Join(root, "examples", "plugin"): {"."}, filepath.Join(root, "plugins", "aws"): {"."},
	} {
		all.Go(func() {
			cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-v", "-p=8", "-run", "^TestFaults$|^TestConformance"}, packages...)...) // they mostly wait
			cmd.Dir = dir
			raw, err := cmd.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, fmt.Errorf("go test %s: %w\n%s", strings.Join(packages, " "), err, raw))
			}
			said.Write(raw)
		})
	}
	all.Wait()
	found := map[string]bool{}
	for _, m := range caughtLine.FindAllStringSubmatch(said.String(), -1) {
		found[m[1]] = true
	}
	for _, f := range brokengroup.Faults() {
		if found[f.Name] {
			caught++
		}
	}
	for line := range strings.Lines(said.String()) {
		if strings.HasPrefix(line, "ok ") {
			fmt.Fprintln(out, "in process: ", strings.Join(strings.Fields(line)[1:], " "))
		}
	}
	return caught, errors.Join(failures...)
}

// throughCommand runs `taskscaler plugin test --live` for each plugin.
func throughCommand(ctx context.Context, plugins []site, dir, bin string, out io.Writer) error {
	var failures []error
	for _, s := range plugins {
		config, err := s.write(dir)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "taskscaler"), append([]string{"plugin", "test", "--config", config, "--live", "--json"}, s.flags...)...)
		cmd.Dir = dir
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		raw, runErr := cmd.Output()
		var r struct {
			Passed, Failed, Skipped int
			NotReached              int `json:"not_reached"`
			Checks                  []any
		}
		if err := json.Unmarshal(raw, &r); err != nil || runErr != nil || r.Failed+r.NotReached > 0 || len(r.Checks) != len(conformance.Checks()) {
			failures = append(failures, fmt.Errorf("plugin test of %s: %w\n%s%s", s.plugin, errors.Join(runErr, err), complaint.String(), raw))
			continue
		}
		fmt.Fprintf(out, "through the process:  %s, %d passed, %d skipped\n", s.plugin, r.Passed, r.Skipped)
	}
	return errors.Join(failures...)
}
