package gcetest

import (
	"maps"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// elapsed is the time of the models.
func (s *Server) elapsed() time.Duration { return s.now().Sub(s.start) }

// at turns the time of the models into a time of day.
func (s *Server) at(t time.Duration) time.Time { return s.start.Add(t) }

// stamp is a time of the models as Google writes times.
func (s *Server) stamp(t time.Duration) string {
	return s.at(t).In(pacific).Format("2006-01-02T15:04:05.000-07:00")
}

// pacific is where Compute Engine's timestamps are from.
var pacific = time.FixedZone("", -8*60*60) //nolint:gochecknoglobals // a constant

// run does what is due in real time.
func (s *Server) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		s.advance()
		wait := time.Hour
		if at := s.next(); at != cloudmodel.Never {
			wait = max(at-s.elapsed(), time.Millisecond)
		}
		s.rounds++
		select {
		case <-s.wake: // by this round itself
		default:
		}
		s.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.closing.Done():
			return
		}
	}
}

// changed wakes run, because something may be due earlier now.
func (s *Server) changed() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sorted returns the groups in the order of their paths, so that nothing depends on a map's order.
func (s *Server) sorted() []*group {
	list := make([]*group, 0, len(s.groups))
	for _, path := range slices.Sorted(maps.Keys(s.groups)) {
		list = append(list, s.groups[path])
	}
	return list
}

// all returns the instances that exist, those of groups first.
func (s *Server) all() []*instance {
	var list []*instance
	for _, g := range s.sorted() {
		for _, m := range g.members {
			if m.in != nil {
				list = append(list, m.in)
			}
		}
	}
	return append(list, s.orphans...)
}

// next returns the earliest time at which something happens by itself, or cloudmodel.Never.
func (s *Server) next() time.Duration {
	at := cloudmodel.Never
	for _, g := range s.groups {
		at = min(at, g.next())
	}
	for _, in := range s.all() {
		at = min(at, in.next())
	}
	return at
}

// advance plays everything that is due by now, step by step in the order of time.
func (s *Server) advance() {
	now := s.elapsed()
	for at := s.next(); at < now; at = s.next() {
		s.step(at)
	}
	for range 8 { // what happens at once may cause more: a boot without delay, a repair of what vanished at once
		s.step(now)
		if s.next() > now {
			break
		}
	}
	s.changed()
}

// step plays what is due at one time.
func (s *Server) step(at time.Duration) {
	for _, in := range s.all() {
		in.step(at)
	}
	for _, g := range s.sorted() {
		g.step(at)
	}
	s.orphans = slices.DeleteFunc(s.orphans, func(in *instance) bool { return in.status == gone })
}
