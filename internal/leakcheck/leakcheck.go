// Package leakcheck fails a package's tests if goroutines are left when they end. It needs the standard library only, so that the tests of
// the library's module add nothing to the module graph of those who import it.
package leakcheck

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines may take to end. Only one that hangs takes so long.
const patience = 30 * time.Second

// Main runs a package's tests and exits: with their code, or with 1 if they passed and left goroutines behind.
func Main(m *testing.M) { os.Exit(run(m, patience)) }

func run(m interface{ Run() int }, limit time.Duration) int {
	code := m.Run()
	if code == 0 {
		if err := find(limit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Find waits until this goroutine is the only one, those of the runtime and of package testing aside. The error has the stacks of the others.
func Find() error { return find(patience) }

func find(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left := others()
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("goroutines were left behind, and did not end within %s: %d\n\n%s", limit, len(left), strings.Join(left, "\n\n"))
		}
		time.Sleep(pause)
	}
}

// others are the stacks of all goroutines but this one and those that are known.
func others() []string {
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	stacks := strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")
	return slices.DeleteFunc(stacks[1:], known) // the first one is our own
}

// known reports whether a goroutine belongs to the runtime, to os/signal, or to a test that waits for its subtests.
func known(stack string) bool {
	head, frames, _ := strings.Cut(stack, "\n")
	top, _, _ := strings.Cut(frames, "\n")
	top = top[:max(strings.LastIndexByte(top, '('), 0)]
	switch top {
	case "os/signal.signal_recv", "os/signal.loop":
		return true
	case "testing.RunTests", "testing.(*T).Run", "testing.(*T).Parallel", "testing.runFuzzing", "testing.runFuzzTests":
		return strings.Contains(head, "[chan receive")
	}
	return strings.Contains(frames, "runtime.ensureSigM") || strings.Contains(head, "[syscall") && strings.Contains(frames, "runtime.goexit")
}
