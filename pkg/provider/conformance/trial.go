package conformance

import (
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// check is a Check with its function. One without a function is a rule: it holds for all lists and calls of the run, and is judged at its end.
type check struct {
	Check
	always bool // it is part of every run, but is reported only if it was selected
	run    func(*trial)
}

// trial is one check while it is made.
type trial struct {
	*session
	findings []Finding
}

// stopped ends a check before its end.
type stopped struct {
	status Status
	reason string
}

// fail adds a finding. The check goes on.
func (t *trial) fail(change, saw string, args ...any) {
	t.findings = append(t.findings, Finding{Saw: fmt.Sprintf(saw, args...), Change: change})
}

// failNow adds a finding and ends the check.
func (t *trial) failNow(change, saw string, args ...any) {
	t.fail(change, saw, args...)
	panic(stopped{status: Fail})
}

func skip(reason string, args ...any) {
	panic(stopped{Skip, fmt.Sprintf(reason, args...)})
}

// cannot ends the check: something that another check is about failed.
func cannot(reason string, args ...any) {
	panic(stopped{NotReached, fmt.Sprintf(reason, args...)})
}

// make makes one check and keeps its result.
func (s *session) make(c check) {
	selected := len(s.o.Only) == 0 || slices.Contains(s.o.Only, c.ID)
	if c.run == nil {
		s.rules = append(s.rules, c.Check)
		return
	}
	if s.o.Began != nil && selected {
		s.o.Began(c.Check)
	}
	began := time.Now()
	r := s.outcome(c)
	r.Took = time.Since(began)
	s.memo.failed[c.ID] = r.Status == Fail
	if selected {
		s.keep(r)
	}
	s.unclaimed()
}

func (s *session) keep(r Result) {
	s.results = append(s.results, r)
	if s.o.Done != nil {
		s.o.Done(r)
	}
}

// outcome makes the check. Whatever a group does, a panic here other than stopped is a fault of this package.
func (s *session) outcome(c check) (r Result) {
	r.Check = c.Check
	switch {
	case c.Live && !s.o.Live && !c.always:
		r.Status, r.Reason = Skip, ReasonNotLive
		return r
	case c.Live && s.o.Fixed && !c.always:
		r.Status, r.Reason = Skip, "the machines of the group are fixed"
		return r
	case s.whyHalted() != "" && !c.always:
		r.Status, r.Reason = NotReached, s.whyHalted()
		return r
	case s.ctx.Err() != nil && !c.always:
		r.Status, r.Reason = NotReached, "the run was ended"
		return r
	}
	t := &trial{session: s}
	defer func() {
		r.Findings = t.findings
		switch p := recover().(type) {
		case nil:
			r.Status = Pass
		case stopped:
			r.Status, r.Reason = p.status, p.reason
		default:
			panic(p)
		}
		if len(r.Findings) > 0 {
			r.Status, r.Reason = Fail, ""
		}
	}()
	c.run(t)
	return r
}

// unclaimed notes the losses and the arrivals that no check has claimed.
func (s *session) unclaimed() {
	for _, l := range s.takeExtra() {
		s.note("no-unasked-machine", "Make exactly as many machines as Increase accepted, and report only machines of this group, each under one id for its whole life.", "%s", l.text)
	}
	s.confirmLost()
	for _, l := range s.takeLost() {
		s.note("no-unasked-removal", "Never remove a machine that Decrease did not name, and report no other as deleting. A job may be running on it.", "%s", l.text)
	}
}

// judge keeps the results of the rules.
func (s *session) judge() {
	s.observeIncidents()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.rules {
		r := Result{Check: c, Status: Pass, Findings: s.noted[c.ID]}
		switch {
		case len(r.Findings) > 0:
			r.Status = Fail
		case s.group == nil:
			r.Status, r.Reason = NotReached, s.halted
		case s.skips[c.ID] != "":
			r.Status, r.Reason = Skip, s.skips[c.ID]
		}
		s.keep(r)
	}
}

// report puts the results together.
func (s *session) report(took time.Duration) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{Info: s.info, Results: s.results, Latency: s.latencies(), Took: took, Left: s.left}
	if s.group != nil {
		r.Capabilities = s.info.CapabilitiesOf(s.group)
	}
	return r
}

// can reports whether the group has announced a capability.
func (s *session) can(c provider.Capability) bool {
	return slices.Contains(s.info.CapabilitiesOf(s.group), c)
}
