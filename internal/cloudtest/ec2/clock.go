package ec2

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// elapsed is the time of the models.
func (s *Server) elapsed() time.Duration { return s.now().Sub(s.start) }

// at turns the time of the models into a time of day.
func (s *Server) at(t time.Duration) time.Time { return s.start.Add(t) }

// next returns the earliest time at which something happens by itself.
func (s *Server) next() (at time.Duration, ok bool) {
	at = cloudmodel.Never
	for _, g := range s.all {
		if t, due := g.next(); due {
			at = min(at, t)
		}
	}
	return at, at != cloudmodel.Never
}

// advance plays everything that is due by now, step by step in the order of time.
func (s *Server) advance() {
	now := s.elapsed()
	for {
		at, ok := s.next()
		if !ok || at >= now {
			break
		}
		s.step(at)
	}
	for range 8 { // what happens at once may cause more: a boot without delay, a replacement of what vanished at once
		s.step(now)
		if at, ok := s.next(); !ok || at > now {
			break
		}
	}
	s.forget(now)
	s.changed()
}

// step plays what is due at one time.
func (s *Server) step(at time.Duration) {
	for _, g := range s.all {
		g.step(at)
		if g.deleting && s.groups[g.name] == g && len(g.members()) == 0 {
			delete(s.groups, g.name)
			g.policies, g.scheduled, g.refreshes, g.warmPool, g.hooks, g.tags = nil, nil, nil, nil, nil, nil
		}
	}
}

// forget drops instances that were terminated long ago.
func (s *Server) forget(now time.Duration) {
	limit := now - s.cfg.Keep
	old := func(in *instance) bool { return in.state == terminated && in.ended < limit }
	for _, g := range s.all {
		g.launched = slices.DeleteFunc(g.launched, func(in *instance) bool {
			if !old(in) {
				return false
			}
			delete(s.instances, in.id)
			delete(g.byNumber, in.number)
			return true
		})
	}
}

func compare[T ~string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
