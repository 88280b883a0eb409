package leakcheck

import (
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// leak starts a goroutine that runs leaked until stop is closed, and waits until it runs.
func leak(stop chan struct{}) {
	started := make(chan struct{})
	go leaked(started, stop)
	<-started
}

func leaked(started, stop chan struct{}) {
	close(started)
	<-stop
}

func TestFindNamesWhatIsLeft(t *testing.T) {
	stop := make(chan struct{})
	leak(stop)
	err := find(10 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "leakcheck.leaked(") || strings.Contains(err.Error(), "TestFindNamesWhatIsLeft(") {
		t.Errorf("got %v", err)
	}
	close(stop)
	if err := Find(); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// tests are tests that end with this code.
type tests int

func (code tests) Run() int { return int(code) }

// TestExitCode: goroutines that are left make tests fail that passed, and change nothing about tests that failed.
func TestExitCode(t *testing.T) {
	if code := run(tests(0), patience); code != 0 {
		t.Errorf("nothing is left: code %d", code)
	}
	stop := make(chan struct{})
	leak(stop)
	defer close(stop)
	for ended, want := range map[tests]int{0: 1, 2: 2} {
		if code := run(ended, time.Millisecond); code != want {
			t.Errorf("the tests ended with %d: code %d, want %d", ended, code, want)
		}
	}
}

func TestFindWaits(t *testing.T) {
	stop := make(chan struct{})
	leak(stop)
	time.AfterFunc(20*time.Millisecond, func() { close(stop) })
	if err := Find(); err != nil {
		t.Error(err)
	}
}

func TestSignalsAreKnown(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	defer signal.Stop(c)
	if err := Find(); err != nil {
		t.Error(err)
	}
}

func TestKnown(t *testing.T) {
	for stack, want := range map[string]bool{
		"goroutine 1 [chan receive, 2 minutes]:\ntesting.(*T).Run(0xc000, {0x1, 0x2}, 0x3)\n\t/x/testing.go:1 +0x1": true,
		"goroutine 1 [running]:\ntesting.(*T).Run(0xc000, {0x1, 0x2}, 0x3)\n\t/x/testing.go:1 +0x1":                 false,
		"goroutine 9 [syscall]:\nmain.x()\n\t/x.go:1\nruntime.goexit()\n\t/y.s:1":                                   true,
		"goroutine 9 [select]:\nmain.x()\n\t/x.go:1\nruntime.goexit()\n\t/y.s:1":                                    false,
		"goroutine 9 [select]:": false,
	} {
		if got := known(stack); got != want {
			t.Errorf("%q: %v", stack, got)
		}
	}
}
