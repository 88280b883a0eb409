package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// unknownID is an id that no group has.
const unknownID = "taskscaler-conformance-no-such-instance"

var (
	errLate = errors.New("it took too long")
	errLost = errors.New("another machine disappeared meanwhile")
)

// memo is what one check did and others look at.
type memo struct {
	first  *increased // the first machine
	beyond *increased // the call beyond the limit
	room   int        // at that call
	victim string     // the machine that was removed first
	gone   string     // a machine that was there once
	second []string   // what a second handle listed beside the first; nil: it was not opened
	stayed []string   // what was there then
	spare  []Handle   // further handles, which are closed at the end
	failed map[string]bool
}

type increased struct {
	delta, n int
	err      error
}

// list makes one list. It ends the check if the call panicked or did not return.
func (t *trial) list() (map[string]provider.State, error) {
	listed, err := t.lookUp(t.ctx)
	if err != nil && !broken(err) {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return listed, err
}

// mustList is list for a check that cannot go on without it. It tries three times.
func (t *trial) mustList() map[string]provider.State {
	var err error
	for range 3 {
		var listed map[string]provider.State
		if listed, err = t.list(); err == nil {
			return listed
		}
		t.pause(t.o.Poll / 4)
	}
	cannot("Update failed: %v", err)
	return nil
}

func (s *session) pause(d time.Duration) {
	if s.o.Settle != nil {
		s.o.Settle(s.ctx, s.group)
		return
	}
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// await lists the group until the condition holds. It gives up when Options.Timeout is over, and when a machine disappears that nobody removed.
func (t *trial) await(until func(map[string]provider.State) bool) error {
	deadline := time.Now().Add(t.o.Timeout)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, t.o.Poll) {
		listed, err := t.list()
		switch {
		case err == nil && until(listed):
			return nil
		case t.anyLost():
			return errLost
		case t.ctx.Err() != nil:
			cannot("the run was ended")
		case time.Now().After(deadline) && err != nil:
			return fmt.Errorf("%w: the last Update failed: %w", errLate, err)
		case time.Now().After(deadline):
			return errLate
		}
		t.pause(pause)
	}
}

// unlessLost ends the check if err says that a machine disappeared, which another check is about.
func unlessLost(err error) error {
	if errors.Is(err, errLost) {
		cannot("%v", err)
	}
	return err
}

// increase calls Increase and keeps account of what it accepted.
func (t *trial) increase(ctx context.Context, delta int) (int, error) {
	n, err := t.increaseRaw(ctx, delta)
	if err != nil && !broken(err) && ctx.Err() == nil {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return n, err
}

func (s *session) increaseRaw(ctx context.Context, delta int) (int, error) {
	s.mu.Lock()
	s.inflight += delta
	s.mu.Unlock()
	n, err := attempt(ctx, s, "Increase", func(ctx context.Context) (int, error) { return s.group.Increase(ctx, delta) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inflight -= delta
	s.allowed += max(0, min(n, delta))
	switch provider.KindOf(err) {
	case provider.KindTransient, provider.KindThrottled: // the outcome of the rest is unknown
		s.doubtful += delta - max(0, min(n, delta))
	}
	return n, err
}

// decrease calls Decrease.
func (t *trial) decrease(ctx context.Context, ids ...string) ([]string, error) {
	t.ask(ids)
	done, err := attempt(ctx, t.session, "Decrease", func(ctx context.Context) ([]string, error) { return t.group.Decrease(ctx, ids) })
	if err != nil && !broken(err) && ctx.Err() == nil {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return done, err
}

func (s *session) ask(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if m := s.known[id]; m != nil {
			m.asked = true
		}
	}
}

// connect calls ConnectInfo of the handle in use.
func (t *trial) connect(ctx context.Context, id string) (provider.ConnectInfo, error) {
	return connectWith(ctx, t, t.group, id)
}

func connectWith(ctx context.Context, t *trial, g provider.InstanceGroup, id string) (provider.ConnectInfo, error) {
	info, err := attempt(ctx, t.session, "ConnectInfo", func(ctx context.Context) (provider.ConnectInfo, error) { return g.ConnectInfo(ctx, id) })
	if err != nil && !broken(err) && ctx.Err() == nil {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return info, err
}

// mustConnect is connect for a check that is not about whether it works.
func (t *trial) mustConnect(id string) provider.ConnectInfo {
	info, err := t.connect(t.ctx, id)
	if err != nil {
		cannot("ConnectInfo failed: %v", err)
	}
	return info
}

// running returns a running machine: one of this run, or, if the run makes none, one that was there before.
func (t *trial) running() string {
	t.mustList()
	if t.o.Live && !t.o.Fixed {
		return t.machines(1)[0]
	}
	ids := t.pick(func(m *machine) bool { return isPresent(m) && m.state == provider.StateRunning })
	if len(ids) == 0 {
		skip("the group has no running machine, and the run is not live")
	}
	return ids[0]
}

// machines returns n running machines of this run. It makes what is missing.
func (t *trial) machines(n int) []string {
	ready := t.pick(isReady)
	if len(ready) >= n {
		return ready[:n]
	}
	present := t.pick(isOwn)
	missing := n - len(present)
	if len(present)+missing > t.o.Machines {
		skip("it needs %d machines at once, and the run may have %d", n, t.o.Machines)
	}
	if missing > 0 {
		if got, err := t.increase(t.ctx, missing); err != nil || got != missing {
			cannot("Increase(%d) answered %d, %v", missing, got, err)
		}
	}
	began := time.Now()
	if err := unlessLost(t.awaitReady(n)); err != nil {
		t.halt("machines that were needed did not run any more")
		cannot("machines were needed, and did not run: %v", err)
	}
	t.latency("boot", time.Since(began))
	return t.pick(isReady)[:n]
}

// awaitReady waits until n machines of this run are running.
func (t *trial) awaitReady(n int) error {
	err := t.await(func(map[string]provider.State) bool { return len(t.pick(isReady)) >= n || t.garbled() })
	if err == nil && t.garbled() {
		cannot("the ids of the group cannot be used")
	}
	return err
}

func (s *session) garbled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.badIDs
}

func (s *session) latency(verb string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[verb] = append(s.took[verb], d)
}

// isGone reports whether a machine of the run is gone.
func (s *session) isGone(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.known[id]
	return m == nil || m.gone || m.stray
}

// awaitGone waits until a machine is no longer listed. It repeats Decrease now and then, as the manager does.
func (t *trial) awaitGone(ids ...string) error {
	began, next := time.Now(), time.Now().Add(10*time.Second)
	err := t.await(func(map[string]provider.State) bool {
		left := slices.DeleteFunc(slices.Clone(ids), t.isGone)
		if len(left) > 0 && time.Now().After(next) {
			_, _ = t.decrease(t.ctx, left...)
			next = time.Now().Add(30 * time.Second)
		}
		return len(left) == 0
	})
	if err == nil {
		t.latency("removal", time.Since(began))
	}
	return err
}

// makeRoom removes machines of the run until n more fit.
func (t *trial) makeRoom(n int) {
	t.mustList()
	if strays := t.pick(func(m *machine) bool { return m.stray }); len(strays) > 0 {
		cannot("machines came that nobody asked for, so it is not known how many fit")
	}
	own, present := t.pick(isOwn), len(t.pick(isPresent))
	over := len(own) + n - t.o.Machines
	if limit := t.info.MaxSize; limit > 0 {
		over = max(over, present+n-limit)
	}
	switch {
	case over <= 0:
		return
	case over > len(own):
		skip("the group has no room for %d more machines", n)
	}
	t.needs("decrease-exact", "decrease-gone")
	victims := own[len(own)-over:]
	if _, err := t.decrease(t.ctx, victims...); err != nil {
		cannot("room was needed, and Decrease failed: %v", err)
	}
	if err := t.awaitGone(victims...); err != nil {
		cannot("room was needed, and the machines did not go: %v", err)
	}
}

// needs ends the check if one of these checks has failed.
func (t *trial) needs(ids ...string) {
	for _, id := range ids {
		if t.memo.failed[id] {
			cannot("%s failed", id)
		}
	}
}

func texts(lost []loss) string {
	var all []string
	for _, l := range lost {
		all = append(all, l.text)
	}
	return strings.Join(all, "; ")
}
