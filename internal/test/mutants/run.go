package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Time limits for one mutant.
const (
	buildTimeout = 5 * time.Minute
	killTimeout  = 4 * time.Minute
)

// verdict is the outcome of a mutant.
type verdict string

const (
	killed     verdict = "killed"
	survived   verdict = "SURVIVED"
	notBuilt   verdict = "DOES NOT BUILD"
	doesNotFit verdict = "DOES NOT APPLY"
	broken     verdict = "UNIT TESTS FAIL"
	passes     verdict = "passes the unit tests"
	hangs      verdict = "HANGS"
	explained  verdict = "kept" // a stored field that nothing needs, with the reason why it is stored
)

// result is one line of the table.
type result struct {
	verdict verdict
	by      string // the invariant or the test that found it
	after   string // number of schedules until then
	took    time.Duration
	output  string // output of the step that failed
}

// bench builds and runs mutants.
type bench struct {
	root  string // of the module
	seeds int
	shell *tests
	dst   string // package of the simulation's command
}

func newBench(root string, seeds int) (*bench, error) {
	shell, err := testsOf(root, "pkg/taskscaler")
	return &bench{root: root, seeds: seeds, shell: shell, dst: "./internal/test/dst/cmd/dst"}, err
}

// build builds the suite's binary, with overlay unless it is empty.
func (b *bench) build(ctx context.Context, suite, dir, overlay string) (string, error) {
	bin := filepath.Join(dir, suite)
	args := []string{"build", "-o", bin}
	if suite == suiteShell {
		args = []string{"test", "-c", "-vet=off", "-o", bin}
	}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	pkg := b.dst
	if suite == suiteShell {
		pkg = "./pkg/taskscaler"
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	out, err := b.command(ctx, b.root, "go", append(args, pkg)...)
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
}

// command runs a command and returns everything that it printed.
func (b *bench) command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// try runs the suite's binary once and reports whether it found something.
func (b *bench) try(ctx context.Context, suite, bin string) result {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	began := time.Now()
	var out string
	var err error
	if suite == suiteShell {
		virtual := make([]string, 0, len(b.shell.suite))
		for _, name := range b.shell.suite {
			if b.shell.inBubble[name] {
				virtual = append(virtual, name)
			}
		}
		out, err = b.command(ctx, filepath.Join(b.root, "pkg/taskscaler"), bin, "-test.run", pattern(virtual), "-test.v", "-test.failfast", "-test.timeout", "60s")
	} else {
		out, err = b.command(ctx, b.root, bin, "-seeds", fmt.Sprint(b.seeds), "-stop-first", "-quiet", "-no-coverage", "-j", "1")
	}
	r := result{verdict: survived, took: time.Since(began)}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.verdict, r.output = hangs, out
	default:
		r.verdict, r.output = killed, out
		if suite == suiteShell {
			r.by = failedTest(out)
		} else {
			r.by, r.after = violation(out)
		}
		if r.by == "" {
			r.verdict, r.by = notBuilt, "it ended with "+err.Error()+" and did not name a test or an invariant"
		}
	}
	return r
}

var (
	failLine = regexp.MustCompile(`(?m)^--- FAIL: (Test\w+)`)
	runLine  = regexp.MustCompile(`(?m)^=== RUN\s+(Test\w+)`)
	violated = regexp.MustCompile(`(?m)^seed (\d+): invariant (\w+) at`)
	panicked = regexp.MustCompile(`(?m)^panic: .*`)
	played   = regexp.MustCompile(`(?m)^dst: (\d+) schedules`)
)

// violation returns what the simulation found, and after how many schedules.
func violation(out string) (by, after string) {
	if m := panicked.FindString(out); m != "" {
		return "a panic", "?"
	}
	m, n := violated.FindStringSubmatch(out), played.FindStringSubmatch(out)
	if m == nil || n == nil {
		return "", ""
	}
	if by = "invariant " + m[2]; strings.Trim(m[2], "0123456789") != "" {
		by = "oracle " + m[2]
	}
	return by, n[1]
}

// failedTest is the first test that failed, or the test that was running when the binary ended.
func failedTest(out string) string {
	if m := failLine.FindStringSubmatch(out); m != nil {
		return m[1]
	}
	if all := runLine.FindAllStringSubmatch(out, -1); len(all) > 0 {
		return all[len(all)-1][1]
	}
	return ""
}

// check makes sure that the suites find nothing without a fault.
func (b *bench) check(ctx context.Context, suites ...string) error {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, suite := range suites {
		bin, err := b.build(ctx, suite, dir, "")
		if err != nil {
			return fmt.Errorf("suite %s, without any fault: %w", suite, err)
		}
		if r := b.try(ctx, suite, bin); r.verdict != survived {
			return fmt.Errorf("suite %s fails without any fault, so its kills prove nothing: %s %s\n%s", suite, r.verdict, r.by, tail(r.output, 30))
		}
	}
	return nil
}

// kill applies p, builds the suite that must find it, and runs it.
func (b *bench) kill(ctx context.Context, p *patch) result {
	return b.with(ctx, p, func(dir, overlay string) result {
		bin, err := b.build(ctx, p.suite, dir, overlay)
		if err != nil {
			return result{verdict: notBuilt, output: err.Error()}
		}
		return b.try(ctx, p.suite, bin)
	})
}

// with applies p in a folder of its own, calls f and measures the time.
func (b *bench) with(ctx context.Context, p *patch, f func(dir, overlay string) result) result {
	began := time.Now()
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return result{verdict: doesNotFit, output: err.Error()}
	}
	defer os.RemoveAll(dir)
	copies, err := p.apply(ctx, b.root, dir)
	if err != nil {
		return result{verdict: doesNotFit, output: err.Error()}
	}
	overlay, err := writeOverlay(dir, copies)
	if err != nil {
		return result{verdict: doesNotFit, output: err.Error()}
	}
	r := f(dir, overlay)
	r.took = time.Since(began)
	return r
}

// proof shows that a reviewer and the unit tests could miss p: it builds, passes go vet, and passes the unit tests.
func (b *bench) proof(ctx context.Context, p *patch) result {
	return b.with(ctx, p, func(_, overlay string) result {
		if out, err := b.command(ctx, b.root, "go", "vet", "-overlay="+overlay, "./"+p.room()); err != nil {
			return result{verdict: notBuilt, output: out}
		}
		return b.units(ctx, overlay, p.room())
	})
}

// dependents are the rooms whose unit tests can fail because of a fault in a room, the nearest first.
var dependents = map[string][]string{
	"pkg/policy":      {"pkg/policy", "internal/scaler"},
	"internal/fleet":  {"internal/fleet", "internal/scaler"},
	"internal/scaler": {"internal/scaler"},
	"pkg/taskscaler":  {"pkg/taskscaler"},
}

// units runs the unit tests of the room and of the rooms that depend on it.
func (b *bench) units(ctx context.Context, overlay, room string) result {
	pkgs := dependents[room]
	if pkgs == nil {
		return result{verdict: doesNotFit, output: room + " is not one of the rooms for faults"}
	}
	for _, pkg := range pkgs {
		t, err := testsOf(b.root, pkg)
		if err != nil {
			return result{verdict: broken, output: err.Error()}
		}
		args := []string{"test", "-overlay=" + overlay, "-count=1", "-vet=off", "-failfast", "-timeout=90s", "-run", pattern(t.unit), "./" + pkg}
		ctx, cancel := context.WithTimeout(ctx, killTimeout)
		out, err := b.command(ctx, b.root, "go", args...)
		cancel()
		if err == nil {
			continue
		}
		r := result{verdict: broken, by: failedTest(out), output: out}
		if strings.Contains(out, "[build failed]") {
			r.verdict = notBuilt
		}
		return r
	}
	return result{verdict: passes}
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// moduleRoot is the folder of go.work at or above the working folder: the root of the repository.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.work in this folder or above: run the command inside the repository")
		}
		dir = up
	}
}
