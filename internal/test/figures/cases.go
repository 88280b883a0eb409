package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// testCase is one line of the table.
type testCase struct {
	name, title                string
	autoscaler, policy, plugin string // lines of the configuration
	do                         func(ctx context.Context, m *manager) error
	end                        func() // after the manager has ended; may be nil
}

// settle is how long a manager is left alone before it is looked at.
const settle = 3 * time.Second

// release is how long it takes until Go gives memory back that is not in use any more: it collects at least every two minutes, and releases after that.
const release = 5 * time.Minute

func cases(o options) []testCase {
	waiters := func(w *crowd) testCase {
		return testCase{
			autoscaler: "max_instances = 1", policy: "idle_count = 0",
			do: func(ctx context.Context, m *manager) error { return w.come(ctx, m, o.waiters) }, end: w.leave,
		}
	}
	with, after := &crowd{}, &crowd{}
	withAll, afterAll := waiters(with), waiters(after)
	withAll.name, withAll.title = "with-waiters", fmt.Sprintf("with %d waiters", o.waiters)
	afterAll.name, afterAll.title = "after-waiters", fmt.Sprintf("after %d waiters", o.waiters)
	afterAll.do = func(ctx context.Context, m *manager) error {
		if err := after.come(ctx, m, o.waiters); err != nil {
			return err
		}
		after.leave()
		_, err := m.until(ctx, func(s *taskscaler.Status) bool { return s.Counts.Waiters+s.Counts.Leases == 0 })
		return errors.Join(err, rest(ctx, release))
	}
	idle := fmt.Sprintf("idle_count = %d\nidle_time = \"24h\"", o.idle)
	day := func(name, title, interval, plugin string, n int) testCase {
		return testCase{
			name: name, title: title, autoscaler: fmt.Sprintf("max_instances = %d\nupdate_interval = %q", o.idle, interval), policy: idle, plugin: plugin,
			do: func(ctx context.Context, m *manager) error { return lists(ctx, m, o.idle, n) },
		}
	}
	hour := max(o.lists/24, 1) // a heartbeat costs more than a place in a list
	held := testCase{
		name: "listed", title: fmt.Sprintf("%d listed, not ours", o.listed), autoscaler: "max_instances = 10", policy: "idle_count = 0", plugin: fmt.Sprintf("listed = %d", o.listed),
		do: func(ctx context.Context, m *manager) error { return askStatus(ctx, m) },
	}
	adopted := held
	adopted.name, adopted.title = "adopted", fmt.Sprintf("%d listed and adopted", o.listed)
	adopted.autoscaler = fmt.Sprintf("max_instances = %d\nadopt_preexisting = \"adopt\"", o.listed)
	return []testCase{
		{name: "start", title: "at the start", autoscaler: "max_instances = 10", policy: "idle_count = 0",
			do: func(ctx context.Context, _ *manager) error { return rest(ctx, settle) }},
		{name: "jobs", title: fmt.Sprintf("after %d jobs", o.jobs), autoscaler: "max_instances = 16\ncapacity_per_instance = 4", policy: "idle_count = 0",
			do: func(ctx context.Context, m *manager) error { return jobs(ctx, m, o.jobs) }},
		withAll, afterAll,
		{name: "idle", title: fmt.Sprintf("%d idle, one minute", o.idle), autoscaler: fmt.Sprintf("max_instances = %d", o.idle), policy: idle,
			do: func(ctx context.Context, m *manager) error {
				if err := ready(ctx, m, o.idle); err != nil {
					return err
				}
				return m.spent(ctx, func() error { return rest(ctx, time.Minute) })
			}},
		day("day", fmt.Sprintf("%d idle, %d lists", o.idle, o.lists), "20ms", "", o.lists),
		day("heartbeats", fmt.Sprintf("%d idle, %d lists, heartbeats", o.idle, hour), "2s", "heartbeat = true", hour),
		held, adopted,
	}
}

// jobs takes a lease for each job and releases it at once, 64 at a time.
func jobs(ctx context.Context, m *manager, n int) error {
	todo := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range todo {
				if err := job(ctx, m, fmt.Sprintf("job-%d", i)); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		todo <- i
	}
	close(todo)
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return rest(ctx, settle)
}

func job(ctx context.Context, m *manager, key string) error {
	s, err := m.Lease(ctx, control.LeaseRequest{Key: key, Mode: control.ModeAcquire, Holder: key})
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		e, err := s.Next()
		switch {
		case err != nil:
			return err
		case e.Error != nil:
			return e.Error
		case e.Lease != nil:
			if err := m.Release(ctx, control.ReleaseRequest{Key: key}); err != nil {
				return err
			}
		case e.Released:
			return nil
		case e.Revoked != nil:
			return fmt.Errorf("%s lost its lease: %s", key, e.Revoked.Sentence)
		}
	}
}

// crowd are callers that wait.
type crowd struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
}

// come makes n callers wait, and then watches for a minute what the manager does for them.
func (c *crowd) come(ctx context.Context, m *manager, n int) error {
	waiting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	places := make(chan struct{}, 200) // connections that are being made: the queue of a socket is short
	for i := range n + 1 {             // the first one gets the only slot
		places <- struct{}{}
		c.all.Go(func() {
			key := fmt.Sprintf("w-%d", i)
			s, err := m.Lease(waiting, control.LeaseRequest{Key: key, Mode: control.ModeAcquire, Holder: key})
			<-places
			if err != nil {
				return
			}
			defer s.Close()
			for err == nil {
				_, err = s.Next()
			}
		})
	}
	_, err := m.until(ctx, func(s *taskscaler.Status) bool { return s.Counts.Waiters == n && s.Counts.Leases == 1 })
	if err != nil {
		return err
	}
	return m.spent(ctx, func() error { return rest(ctx, time.Minute) })
}

// leave ends all of them.
func (c *crowd) leave() {
	c.cancel()
	c.all.Wait()
}

// ready waits until all idle instances are ready.
func ready(ctx context.Context, m *manager, n int) error {
	_, err := m.until(ctx, func(s *taskscaler.Status) bool { return s.Counts.Idle == n })
	return errors.Join(err, rest(ctx, settle))
}

// lists waits until the plugin was asked n times for its idle instances.
func lists(ctx context.Context, m *manager, idle, n int) error {
	if err := ready(ctx, m, idle); err != nil {
		return err
	}
	began, beats := m.calls()
	err := m.spent(ctx, func() error {
		for {
			if now, _ := m.calls(); now >= began+n {
				return nil
			}
			if err := rest(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	})
	if _, now := m.calls(); now > beats {
		m.note += fmt.Sprintf(", %d heartbeats", now-beats)
	}
	return err
}

// spent notes the CPU time of the manager and the plugin while f runs.
func (m *manager) spent(ctx context.Context, f func() error) error {
	before, err := cpuOf(m.pid)
	if err != nil {
		return err
	}
	plugin, err := m.pluginCPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := f(); err != nil {
		return err
	}
	after, err := cpuOf(m.pid)
	if err != nil {
		return err
	}
	pluginAfter, err := m.pluginCPU()
	m.note += fmt.Sprintf("in %s: CPU %.2f s, plugin %.2f s", words.Span(time.Since(began).Round(time.Second)), (after - before).Seconds(), (pluginAfter - plugin).Seconds())
	return err
}

// askStatus notes how long a status takes, as text and as JSON.
func askStatus(ctx context.Context, m *manager) error {
	if err := rest(ctx, settle); err != nil {
		return err
	}
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		before, err := cpuOf(m.pid)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, m.lab.binary, append(args, "--socket", m.socket)...)
		began := time.Now()
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		took := time.Since(began)
		after, err := cpuOf(m.pid)
		if err != nil {
			return err
		}
		own := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		m.note += fmt.Sprintf("%v: %.2f s, CPU %.2f s + %.2f s, %d kB; ", args, took.Seconds(), (after - before).Seconds(), own.Seconds(), len(out)>>10)
	}
	return nil
}
