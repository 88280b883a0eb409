package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What became of a fault.
const (
	byDST     = "simulation"
	byTest    = "test"
	survived  = "SURVIVED"
	unreached = "UNREACHED"
)

// memoryKB is the limit of the address space of one run: some faults allocate without end.
const memoryKB = 6 << 20

// testLimit is the time that tests of one suite may take. A fault that makes them take longer is found.
const testLimit = 2 * time.Minute

// dstPackage is the simulation's command.
const dstPackage = "./internal/test/dst/cmd/dst"

// bench builds the tests with all faults in them, and runs them.
type bench struct {
	*options
	dir      string
	overlay  string
	packages []string // import paths
	dirs     []string
	mutants  []*mutant
	dst      string
	suites   []*suite
}

// suite is the test binary of a package.
type suite struct {
	dir, bin string
	tests    []*test
}

// test is one test of a suite.
type test struct {
	name  string
	took  time.Duration
	lines map[string]map[int]bool // that it reaches, by import path and file name
}

func (b *bench) build(ctx context.Context) error {
	if b.seeds > 0 || b.more > 0 {
		b.dst = filepath.Join(b.dir, "dst")
		if out, err := exec.CommandContext(ctx, "go", "build", "-overlay="+b.overlay, "-o", b.dst, dstPackage).CombinedOutput(); err != nil {
			return fmt.Errorf("the simulation does not build: %w\n%s", err, out)
		}
	}
	dirs := slices.Clone(b.dirs)
	for _, d := range strings.Split(b.with, ",") {
		if d == "" {
			continue
		}
		abs, err := filepath.Abs(d)
		if err != nil {
			return err
		}
		if !slices.Contains(dirs, abs) {
			dirs = append(dirs, abs)
		}
	}
	for n, d := range dirs {
		s := &suite{dir: d, bin: filepath.Join(b.dir, fmt.Sprintf("suite%d", n))}
		if err := b.suite(ctx, s); err != nil {
			return err
		}
		b.suites = append(b.suites, s)
	}
	return nil
}

// suite builds the tests of s twice: once to learn what each test reaches, once with the faults.
func (b *bench) suite(ctx context.Context, s *suite) error {
	plain := s.bin + ".cover"
	for _, args := range [][]string{
		{"test", "-c", "-vet=off", "-cover", "-coverpkg=" + strings.Join(b.packages, ","), "-o", plain, "."},
		{"test", "-c", "-vet=off", "-overlay=" + b.overlay, "-o", s.bin, "."},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("the tests in %s do not build: %w\n%s", s.dir, err, out)
		}
	}
	cmd := exec.CommandContext(ctx, plain, "-test.list", ".")
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: list of tests: %w", s.dir, err)
	}
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		profile := s.bin + ".profile"
		began := time.Now()
		cmd := exec.CommandContext(ctx, plain, "-test.run", "^"+name+"$", "-test.coverprofile", profile, "-test.timeout", "300s")
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s of %s fails without a fault and does not count: %v\n%s\n", name, s.dir, err, tail(out))
			continue
		}
		t := &test{name: name, took: time.Since(began)}
		if t.lines, err = readProfile(profile); err != nil {
			return err
		}
		s.tests = append(s.tests, t)
	}
	slices.SortFunc(s.tests, func(a, b *test) int { return int(a.took - b.took) })
	return nil
}

// readProfile returns the lines that a test reaches.
func readProfile(path string) (map[string]map[int]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := map[string]map[int]bool{}
	in := bufio.NewScanner(bytes.NewReader(text))
	for in.Scan() {
		// path/file.go:12.3,14.5 2 1
		place, counts, ok := strings.Cut(in.Text(), " ")
		if !ok || strings.HasSuffix(counts, " 0") || strings.HasPrefix(place, "mode:") {
			continue
		}
		colon := strings.LastIndex(place, ":")
		from, to, ok := strings.Cut(place[colon+1:], ",")
		if !ok {
			continue
		}
		file := place[:colon]
		if lines[file] == nil {
			lines[file] = map[int]bool{}
		}
		for n := lineOf(from); n <= lineOf(to); n++ {
			lines[file][n] = true
		}
	}
	return lines, in.Err()
}

func lineOf(place string) int {
	line, _, _ := strings.Cut(place, ".")
	n, _ := strconv.Atoi(line)
	return n
}

// try runs everything that can find the fault, the cheapest first.
func (b *bench) try(ctx context.Context, m *mutant) string {
	var quick, slow [][]string // tests by suite
	reached := false
	key := m.Pkg + "/" + filepath.Base(m.File)
	for _, s := range b.suites {
		var q, l []string
		var sum time.Duration
		for _, t := range s.tests {
			if !t.lines[key][m.Line] || t.took > b.slow {
				continue
			}
			reached = true
			if sum += t.took; sum < time.Second {
				q = append(q, t.name)
			} else {
				l = append(l, t.name)
			}
		}
		quick, slow = append(quick, q), append(slow, l)
	}
	switch {
	case b.testsFail(ctx, m, quick):
		return byTest
	case b.seeds > 0 && b.simulate(ctx, m, b.seeds):
		return byDST
	case b.testsFail(ctx, m, slow):
		return byTest
	case b.more > 0 && b.simulate(ctx, m, b.more):
		return byDST
	case !reached:
		return unreached
	}
	return survived
}

// testsFail runs these tests, by suite.
func (b *bench) testsFail(ctx context.Context, m *mutant, tests [][]string) bool {
	for n, names := range tests {
		s := b.suites[n]
		if len(names) > 0 && b.fails(ctx, m, testLimit, s.dir, s.bin, "-test.run", "^("+strings.Join(names, "|")+")$", "-test.failfast") {
			return true
		}
	}
	return false
}

func (b *bench) simulate(ctx context.Context, m *mutant, seeds int) bool {
	return b.fails(ctx, m, time.Minute, b.dir, b.dst, "-seeds", strconv.Itoa(seeds), "-stop-first", "-quiet", "-no-coverage", "-j", "1")
}

// fails reports whether a run with the fault fails, or does not end in time.
func (b *bench) fails(ctx context.Context, m *mutant, limit time.Duration, dir, bin string, args ...string) bool {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, memoryKB)
	cmd := exec.CommandContext(limited, "sh", append([]string{"-c", script, bin}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", mutantEnv, m.ID))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what the tests started
	}
	return err != nil && ctx.Err() == nil
}

func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
