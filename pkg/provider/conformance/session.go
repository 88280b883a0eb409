package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// maxNotes is how many findings of one rule are kept.
const maxNotes = 5

// session is one run: the handle in use, and what is known of the machines.
type session struct {
	o      Options
	target Target
	ctx    context.Context
	cancel context.CancelFunc
	labels pprof.LabelSet // of the goroutines of calls, which those that a group starts inherit
	label  string

	handle Handle
	group  provider.InstanceGroup
	info   provider.ProviderInfo

	rules   []Check
	results []Result
	left    []string
	memo    memo

	mu      sync.Mutex
	halted  string // why no further check can be made
	calls   int
	noted   map[string][]Finding // of the rules
	skips   map[string]string    // of the rules: why one cannot be judged
	took    map[string][]time.Duration
	handles []Handle // all that were opened
	ledger
}

// Format writes no field: the settings hold secrets.
func (s *session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "a conformance run") }

func newSession(ctx context.Context, target Target, o Options) *session {
	s := &session{o: o, target: target, noted: map[string][]Finding{}, skips: map[string]string{}, took: map[string][]time.Duration{}}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.label = rand.Text() // an address would be used again by a later run, while goroutines of this one are left
	s.labels = pprof.Labels("conformance", s.label)
	s.known, s.memo.failed = map[string]*machine{}, map[string]bool{}
	return s
}

// note keeps a finding of a rule.
func (s *session) note(rule, change, saw string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLocked(rule, change, saw, args...)
}

func (s *session) noteLocked(rule, change, saw string, args ...any) {
	f := Finding{Saw: fmt.Sprintf(saw, args...), Change: change}
	if len(s.noted[rule]) < maxNotes && !slices.Contains(s.noted[rule], f) {
		s.noted[rule] = append(s.noted[rule], f)
	}
}

// panicError is a panic of a group in a call.
type panicError struct {
	verb string
	text string
}

func (e *panicError) Error() string { return fmt.Sprintf("%s panicked: %s", e.verb, e.text) }

// stuckError is a call that did not return after its context had ended.
type stuckError struct{ verb string }

func (e *stuckError) Error() string {
	return e.verb + " did not return after its context had ended"
}

type answer[T any] struct {
	value T
	err   error
}

// attempt makes one call with a deadline. A panic and a call that does not return are noted, and are errors.
func attempt[T any](ctx context.Context, s *session, verb string, f func(context.Context) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, s.o.CallTimeout)
	defer cancel()
	done := make(chan answer[T], 1)
	began := time.Now()
	go pprof.Do(ctx, s.labels, func(ctx context.Context) {
		a := answer[T]{err: fmt.Errorf("%s ended its goroutine", verb)} // as t.FailNow does in a test's own functions
		defer func() { done <- a }()
		a = guarded(ctx, verb, f)
	})
	select {
	case a := <-done:
		return a.value, s.answered(ctx, verb, began, a.err)
	case <-ctx.Done():
	}
	select {
	case a := <-done:
		return a.value, s.answered(ctx, verb, began, a.err)
	case <-time.After(s.o.Give):
	}
	s.note("calls-return", "Pass the context of the call to everything that waits, and return its error when it ends.",
		"%s had not returned %s after its context had ended", verb, s.o.Give)
	s.halt(verb + " did not return, so nothing more can be said of this group")
	return none, &stuckError{verb}
}

func guarded[T any](ctx context.Context, verb string, f func(context.Context) (T, error)) (a answer[T]) {
	defer func() {
		if p := recover(); p != nil {
			a.err = &panicError{verb, fmt.Sprintf("%v, at %s", p, panicSite(string(debug.Stack())))}
		}
	}()
	a.value, a.err = f(ctx)
	return a
}

// panicSite returns the file and line that panicked, from a stack.
func panicSite(stack string) string {
	_, rest, _ := strings.Cut(stack, "panic(")
	lines := strings.Split(rest, "\n")
	if len(lines) < 4 {
		return "an unknown place"
	}
	site, _, _ := strings.Cut(strings.TrimSpace(lines[3]), " ")
	return site
}

// answered notes what a call took, and what is wrong with its error.
func (s *session) answered(ctx context.Context, verb string, began time.Time, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	var panicked *panicError
	if errors.As(err, &panicked) {
		s.noteLocked("no-panic", "Handle the case, or return an error. Unlock with defer.", "%s", err.Error())
		return err
	}
	if ctx.Err() == nil {
		s.took[verb] = append(s.took[verb], time.Since(began))
	}
	var e *provider.Error
	switch {
	case err == nil || !errors.As(err, &e):
	case e == nil || e.Err == nil:
		s.noteLocked("error-kinds", "Give every provider.Error a text: use provider.Errorf.", "%s returned an error without a text", verb)
	case e.Kind == failure.None || e.Kind > failure.Unhealthy:
		s.noteLocked("error-kinds", "Use one of the Kind constants of package provider.", "%s returned an error of the kind %d, which does not exist: %v", verb, e.Kind, e.Err)
	case e.RetryAfter < 0:
		s.noteLocked("error-kinds", "RetryAfter is how long to wait; leave it 0 if that is unknown.", "%s returned an error with RetryAfter %s", verb, e.RetryAfter)
	}
	return err
}

// broken reports whether err is about the call itself: a panic or a call that did not return.
func broken(err error) bool {
	var p *panicError
	var st *stuckError
	return errors.As(err, &p) || errors.As(err, &st)
}

// do is attempt for a check: it ends the check if the call panicked or did not return, or the process died.
func do[T any](t *trial, verb string, f func(context.Context) (T, error)) (T, error) {
	v, err := attempt(t.ctx, t.session, verb, f)
	if err != nil && !broken(err) {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return v, err
}

// explain asks the target what the error of a call means. A death or a panic is noted and becomes a panicError.
func (s *session) explain(err error) error {
	e, ok := s.target.(Explainer)
	if !ok {
		return err
	}
	i, ok := e.Explain(err)
	if !ok {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incident(i)
	switch i.Kind {
	case Died:
		s.halted = "the process of the group ended"
	case Stuck:
		s.halted = "a call did not return, so nothing more can be said of this group"
	}
	return &panicError{"the call", i.Text}
}

// halt keeps why no further check can be made.
func (s *session) halt(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halted == "" {
		s.halted = why
	}
}

func (s *session) whyHalted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.halted
}

// observeIncidents notes what the handles have seen.
func (s *session) observeIncidents() {
	s.mu.Lock()
	defer s.mu.Unlock()
	observers := 0
	for _, h := range s.handles {
		o, ok := h.(Observer)
		if !ok {
			continue
		}
		observers++
		for _, i := range o.Incidents() {
			s.incident(i)
		}
	}
	if observers == 0 {
		s.skips["output-silent"] = "only a plugin process has an output of its own"
		s.skips["stays-alive"] = "only a plugin process can end"
	}
}

func (s *session) incident(i Incident) {
	switch i.Kind {
	case Printed:
		s.noteLocked("output-silent", "Log with the hclog.Logger that Init receives, and print nothing.", "it printed: %s", i.Text)
	case Panicked:
		s.noteLocked("no-panic", "Handle the case, or return an error. Unlock with defer.", "%s", i.Text)
	case Stuck:
		s.noteLocked("calls-return", "Pass the context of the call to everything that waits, and return its error when it ends.", "%s", i.Text)
	case Died:
		s.noteLocked("stays-alive", "Recover the panics of your own goroutines, and never call os.Exit or log.Fatal.", "the process ended although nobody ended it: %s", i.Text)
	}
}

// verbs is the order of the report.
var verbs = []string{"Init", "Update", "Increase", "Decrease", "ConnectInfo", "Heartbeat", "Suspend", "Resume", "Shutdown", "boot", "removal"}

func (s *session) latencies() (all []Latency) {
	for _, verb := range verbs {
		took := slices.Sorted(slices.Values(s.took[verb]))
		if len(took) > 0 {
			all = append(all, Latency{Verb: verb, Calls: len(took), Median: took[len(took)/2], Max: took[len(took)-1]})
		}
	}
	return all
}
