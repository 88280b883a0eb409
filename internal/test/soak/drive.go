package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
)

// drive runs a soak in dir: load and kills for the given length, then a time without kills, then the shutdown. No process is left when it
// returns, even after an error.
func drive(ctx context.Context, dir string, o options, v *view) (err error) {
	v.say("building taskscaler and fleeting-plugin-fake")
	s, err := newSite(ctx, dir, o.seed)
	if err != nil {
		return err
	}
	clients := &clients{site: s, running: map[string]*client{}}
	defer func() {
		clients.end()
		err = errors.Join(err, s.sweep(), s.log.close())
	}()
	m, err := s.startManager()
	if err != nil {
		return err
	}
	if err := s.serving(ctx, m); err != nil {
		return err
	}
	if err := fire(ctx, s, clients, o, v); err != nil {
		return err
	}
	return settle(ctx, s, clients, v)
}

// fire runs the load and the kills. When it returns without an error, a manager serves.
func fire(ctx context.Context, s *site, cl *clients, o options, v *view) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over, stop := context.WithTimeout(ctx, o.length) // ends the load and the kills; a kill in progress is completed
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { watch(over, s, cl, v) })
	work.Go(func() {
		(&load{clients: cl, rand: rand.New(rand.NewPCG(o.seed, 2)), phase: o.phase, view: v}).run(over)
	})
	work.Go(func() {
		c := &chaos{site: s, clients: cl, rand: rand.New(rand.NewPCG(o.seed, 3)), minGap: o.minGap, maxGap: o.maxGap, view: v}
		if err := c.run(over, ctx); err != nil {
			cancel(err)
		}
	})
	work.Wait()
	return context.Cause(ctx)
}

// watch asks for the status repeatedly and shows it.
func watch(ctx context.Context, s *site, cl *clients, v *view) {
	for {
		if f, err := s.ask(context.WithoutCancel(ctx)); err == nil { // else no manager serves
			v.fleet(f)
		}
		v.jobs(cl.counts())
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// settle waits for the end of the jobs, stops the manager, and logs what is left.
func settle(ctx context.Context, s *site, cl *clients, v *view) error {
	v.say("no more load and no more kills: waiting for the jobs to end")
	if err := cl.wait(ctx); err != nil {
		return err
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	v.say("stopping the manager, which deletes the remaining instances")
	m := s.current()
	s.log.put(check.Entry{Event: check.ManagerStopped, PID: m.PID()})
	m.Signal(syscall.SIGTERM)
	select {
	case <-m.Ended():
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		return errors.New("the manager does not stop: see manager.log")
	}
	left, err := s.left(ctx)
	if err != nil {
		return err
	}
	s.log.put(check.Entry{Event: check.End, Left: left})
	return nil
}

// quiet waits until no lease is left. This includes the leases of killed clients.
func (s *site) quiet(ctx context.Context) error {
	for deadline := time.Now().Add(patience); ; {
		f, err := s.ask(ctx)
		if err == nil && f.Started && f.Counts.Leases+f.Counts.Waiters == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("leases are left although every client has ended (%w): see the last status in %s", err, logFile)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.current().Ended():
			return errors.New("the manager ended although it was not stopped: see manager.log")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sweep ends every process of the soak: the manager, its plugin, and the instances. Instances end when their folders are removed.
func (s *site) sweep() error {
	if m := s.current(); m != nil && m.Running() {
		s.log.put(check.Entry{Event: check.ManagerKilled, PID: m.PID()})
		m.Signal(syscall.SIGKILL)
		<-m.Ended()
	}
	err := os.RemoveAll(filepath.Join(s.Dir, machineFolder))
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		left := s.processes()
		if len(left) == 0 {
			return err
		}
		if time.Until(deadline) < patience-10*time.Second { // they had enough time to end
			for _, p := range left {
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
		for _, p := range left {
			if p.isPlugin { // it may be frozen
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
	}
	return errors.Join(err, errors.New("processes are left"))
}
