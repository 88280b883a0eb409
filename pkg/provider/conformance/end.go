package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

const found = "Find the machines again by what the provider knows of them, e.g. a tag or a name with the group's name. Keep nothing that is needed only in memory."

// besideFirst opens the group a second time while the first handle is in use.
func (t *trial) besideFirst() {
	t.machines(1)
	t.memo.stayed = t.pick(isPresent)
	h := t.reopen(t.o.Settings)
	defer t.drop(h)
	t.others("Init must change nothing: it only looks.", "a second Init")
	if len(t.findings) > 0 {
		return
	}
	entries, err := attempt(t.ctx, t.session, "Update", func(ctx context.Context) ([]entry, error) { return update(ctx, h.Group()) })
	if err != nil {
		t.failNow("Two processes must be able to look at a group at the same time.", "Update of a second handle failed: %v", err)
	}
	t.memo.second = []string{}
	for _, e := range entries {
		t.memo.second = append(t.memo.second, e.id)
	}
}

func (t *trial) existing() {
	if t.memo.second == nil && !t.memo.failed["beside"] {
		(&trial{session: t.session}).besideFirst()
	}
	if t.memo.second == nil {
		cannot("the group could not be opened a second time")
	}
	for _, id := range t.memo.stayed {
		if !slices.Contains(t.memo.second, id) {
			t.fail(found, "a handle that was opened later does not list %q", id)
		}
	}
}

// kill kills the handle and opens the group again.
func (t *trial) kill() {
	k, ok := t.handle.(Killer)
	if !ok {
		skip("only a process can be killed")
	}
	if err := k.Kill(t.ctx); err != nil {
		cannot("it could not be killed: %v", err)
	}
	t.use(t.reopen(t.o.Settings))
}

func (t *trial) killBooting() {
	t.killable()
	t.makeRoom(1)
	t.machines(1)
	own := len(t.pick(isOwn))
	if n, err := t.increase(t.ctx, 1); n != 1 || err != nil {
		cannot("Increase(1) = %d, and %s", n, orNil(err))
	}
	t.mustList()
	t.kill()
	err := t.awaitReady(own + 1)
	if lost := t.takeLost(); len(lost) > 0 {
		t.failNow(found, "it was killed while a machine booted, and after the next start: %s", texts(lost))
	}
	if err != nil {
		t.fail(found, "it was killed while a machine booted, and the machine did not run within %s", t.o.Timeout)
	}
}

func (t *trial) killDeleting() {
	t.killable()
	t.needs("decrease-exact", "decrease-gone", "kill-booting", "decrease-once-known", "decrease-repeated")
	ids := t.machines(2)
	id := ids[1]
	if _, err := t.decrease(t.ctx, id); err != nil {
		cannot("Decrease failed: %v", err)
	}
	t.kill()
	if !t.isGone(id) {
		done, err := t.decrease(t.ctx, id)
		t.removes(goneCounts, []string{id}, done, err)
	}
	err := t.awaitGone(id)
	if lost := t.takeLost(); len(lost) > 0 {
		t.failNow(exactly, "it was killed while a machine was removed, and after the next start: %s", texts(lost))
	}
	if err != nil && len(t.findings) == 0 {
		t.fail("Keep in the provider what is being removed, and remove it when Decrease asks again.", "it was killed while %q was removed, Decrease was repeated after the next start, and the machine did not go within %s", id, t.o.Timeout)
	}
}

func (t *trial) killable() {
	if _, ok := t.handle.(Killer); !ok {
		skip("only a process can be killed")
	}
	if _, ok := t.target.(Reopener); !ok {
		skip("the group cannot be opened again")
	}
	t.needs("existing", "beside")
}

func (t *trial) orphan() {
	o, ok := t.target.(Orphaner)
	if !ok {
		skip("only a process has a host that can die")
	}
	t.killable()
	t.machines(1)
	if err := t.handle.(Killer).Kill(t.ctx); err != nil { // a group may refuse a second host
		cannot("it could not be killed: %v", err)
	}
	t.handle = nil
	err := o.Orphan(t.ctx)
	t.use(t.reopen(t.o.Settings))
	var outlived *OutlivedError
	if errors.As(err, &outlived) {
		t.fail("End child processes when the process of the plugin ends, however it ends: let them read a pipe of it, or take PR_SET_PDEATHSIG.", "the host was killed, and left is %s", strings.Join(outlived.Left, ", "))
	} else if err != nil {
		cannot("another host could not be killed: %v", err)
	}
	for range 3 {
		t.mustList()
		t.pause(min(t.o.Poll, 50*time.Millisecond))
	}
	t.others("Remove nothing when the host is gone, neither in a goroutine nor in a helper process. The next start finds the machines.", "the host was killed")
}

// shutdown ends the handle in use. If the group cannot be opened again, it removes the machines of the run before.
func (t *trial) shutdown() {
	if t.handle == nil {
		cannot("Init did not succeed")
	}
	if _, ok := t.target.(Reopener); !ok {
		t.removeOwn()
	}
	if t.stuck() {
		cannot("%s", t.whyHalted())
	}
	if err := t.closeHandle(); err != nil {
		t.fail("Release what Init acquired, and return nil. A manager that stops cannot do anything about the error.", "Shutdown failed: %v", err)
	}
}

func (s *session) stuck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.noted["calls-return"]) > 0
}

func (t *trial) closeHandle() error {
	h := t.handle
	t.handle = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.o.CallTimeout)
	defer cancel()
	_, err := attempt(ctx, t.session, "Shutdown", func(ctx context.Context) (struct{}, error) { return struct{}{}, h.Close(ctx) })
	if err != nil && !broken(err) {
		err = t.explain(err)
	}
	if broken(err) {
		cannot("%s", err.Error())
	}
	return err
}

func (t *trial) shutdownKeeps() {
	t.needs("existing", "beside", "shutdown")
	h := t.reopen(t.o.Settings)
	t.use(h)
	t.others("Shutdown only releases what Init acquired: connections, files, goroutines. It removes no machine.", "Shutdown and a new start")
}

// cleanup removes the machines of the run. It also does so when the run has ended early.
func (t *trial) cleanup() {
	t.session.ctx = context.WithoutCancel(t.session.ctx)
	defer t.closeSpare()
	if !t.o.Live || t.o.Fixed || t.group == nil {
		skip("the run made no machine")
	}
	if t.handle == nil && len(t.pick(isOwn)) > 0 && !t.stuck() {
		t.use(t.reopen(t.o.Settings))
	}
	if t.handle != nil {
		t.removeOwn()
	}
	if len(t.session.left) > 0 {
		t.needs("decrease-exact", "decrease-gone", "existing", "beside", "kill-deleting")
		if t.stuck() || t.brokenRun() {
			cannot("the group does not work, and these machines may be left: %q", t.session.left)
		}
		t.fail("Look what became of them, and remove them by hand.", "machines of the run are left: %q", t.session.left)
	}
}

// closeSpare closes the further handles.
func (t *trial) closeSpare() {
	if t.stuck() {
		return
	}
	for _, h := range t.memo.spare {
		ctx, cancel := context.WithTimeout(t.session.ctx, t.o.CallTimeout)
		_, _ = attempt(ctx, t.session, "Shutdown", func(ctx context.Context) (struct{}, error) { return struct{}{}, h.Close(ctx) })
		cancel()
	}
	t.memo.spare = nil
}

// brokenRun reports whether a rule was broken that explains why machines are left.
func (s *session) brokenRun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.noted["no-panic"])+len(s.noted["stays-alive"]) > 0
}

// removeOwn removes the machines of the run, and closes the handle if it is not needed for Shutdown any more.
func (t *trial) removeOwn() {
	if t.stuck() {
		t.session.left = t.pick(isOwn)
		return
	}
	_, _ = t.list()
	own := t.pick(func(m *machine) bool { return m.own && isPresent(m) })
	if len(own) > 0 {
		_, err := t.decrease(t.ctx, own...)
		switch {
		case err != nil:
		case t.memo.failed["decrease-exact"] || t.memo.failed["decrease-gone"]: // it may never happen
			for range 5 {
				t.pause(t.o.Poll)
				_, _ = t.list()
			}
		default:
			_ = t.awaitGone(own...)
		}
	}
	t.session.left = slices.DeleteFunc(own, t.isGone)
	for _, told := range []string{"decrease-exact", "existing", "beside", "shutdown-keeps"} {
		if t.memo.failed[told] {
			t.takeLost()
		}
	}
}

// nothingLeft looks for goroutines that calls started, and for what the target knows of.
func (t *trial) nothingLeft() {
	if t.handle != nil && !t.stuck() {
		if err := t.closeHandle(); err != nil {
			cannot("Shutdown failed: %v", err)
		}
	}
	if t.stuck() {
		cannot("%s", t.whyHalted())
	}
	t.needs("cleanup", "shutdown")
	if stacks := t.goroutines(); len(stacks) > 0 {
		t.fail("End in Shutdown what was started, and wait for it.", "%d goroutines are left, the first at %s", len(stacks), stacks[0])
	}
	l, ok := t.target.(Leaver)
	if !ok {
		return
	}
	left, err := attempt(t.ctx, t.session, "look", l.Left)
	if err != nil {
		cannot("it could not be seen what is left: %v", err)
	}
	for _, what := range left {
		t.fail("End child processes and remove temporary files in Shutdown, and when the context of Init's process ends.", "%s is left after Shutdown", what)
	}
}

// goroutines returns where goroutines are that calls of this run have started. It waits for those that are just ending.
func (t *trial) goroutines() []string {
	deadline := time.Now().Add(min(t.o.Give, 30*time.Second))
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		stacks, err := labelled(t.label)
		if err != nil || len(stacks) == 0 || time.Now().After(deadline) {
			return stacks
		}
		time.Sleep(pause)
	}
}

// labelled returns the outermost function of each goroutine that carries the label.
func labelled(label string) (sites []string, err error) {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return nil, err
	}
	mark := fmt.Sprintf("%q:%q", "conformance", label)
	for _, block := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(block, mark) && !strings.Contains(block, "net/http.(*persistConn)") { // idle connections are not the group's
			sites = append(sites, site(block))
		}
	}
	return sites, nil
}

// site returns the outermost frame of a block of a goroutine profile that is not of this package or of the standard library's helpers.
func site(block string) string {
	at := "an unknown place"
	for line := range strings.Lines(block) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != "#" || strings.HasPrefix(f[2], "runtime/pprof.") || strings.HasPrefix(f[2], "sync.") || strings.Contains(f[2], "provider/conformance.") {
			continue
		}
		at = f[2] + " " + f[3]
	}
	return at
}
