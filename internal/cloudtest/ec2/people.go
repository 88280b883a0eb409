package ec2

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// Truth is what truly exists of a group.
type Truth struct {
	Desired   int
	Instances []InstanceTruth // in the order of their launch; no terminated ones
}

// InstanceTruth is one instance, as it truly is.
type InstanceTruth struct {
	ID        string
	Group     string // "" if it was detached
	State     string // of EC2: "pending", "running", "shutting-down"
	Lifecycle string // of the group
	IP        string
	Spot      string // status code of its spot request; "" if it is none
	Protected bool
	Password  string // Windows: of Administrator
}

// State returns what truly exists of a group, whatever lists say.
func (s *Server) State(group string) (Truth, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	g := s.groups[group]
	if g == nil {
		return Truth{}, fmt.Errorf("there is no group %q", group)
	}
	t := Truth{Desired: g.desired}
	for _, in := range g.launched {
		if in.state != terminated {
			t.Instances = append(t.Instances, in.truth())
		}
	}
	return t, nil
}

// Instances returns what truly exists in all groups.
func (s *Server) Instances() []InstanceTruth {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	var list []InstanceTruth
	for _, g := range s.all {
		for _, in := range g.launched {
			if in.state != terminated {
				list = append(list, in.truth())
			}
		}
	}
	return list
}

// Launched returns how many instances were launched since the start.
func (s *Server) Launched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	return s.numbers
}

func (in *instance) truth() InstanceTruth {
	t := InstanceTruth{ID: in.id, State: in.state.name(), Lifecycle: in.lifecycle, IP: in.private, Protected: in.protected, Password: in.plain}
	if in.member {
		t.Group = in.group.name
	}
	if in.spot != nil {
		t.Spot = in.spot.code
	}
	return t
}

// change runs f for an instance.
func (s *Server) change(id string, f func(in *instance, at time.Duration) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	defer s.advance()
	in := s.instances[id]
	if in == nil || in.state == terminated {
		return fmt.Errorf("there is no instance %q", id)
	}
	return f(in, s.elapsed())
}

// TerminateInstance terminates an instance as a person does in the console of EC2, past its group.
func (s *Server) TerminateInstance(id string) error {
	return s.change(id, func(in *instance, at time.Duration) error { return in.stop(nil, at) })
}

// Vanish lets an instance be gone at once, as when its host dies.
func (s *Server) Vanish(id string) error {
	return s.change(id, func(in *instance, at time.Duration) error {
		in.group.model.Kill(at, in.number)
		return nil
	})
}

// Interrupt sends the interruption notice of a spot instance. After Config.Notice it is gone.
func (s *Server) Interrupt(id string) error {
	return s.change(id, func(in *instance, at time.Duration) error {
		if in.spot == nil {
			return fmt.Errorf("the instance %s is no spot instance", id)
		}
		in.reclaim(at)
		in.killAt = at + s.cfg.Notice
		return nil
	})
}

// SetHealth marks an instance of a group as "Healthy" or "Unhealthy". The group replaces unhealthy ones.
func (s *Server) SetHealth(id, status string) error {
	return s.change(id, func(in *instance, at time.Duration) error {
		in.health = status
		in.noticed(at)
		return nil
	})
}

// Impair lets the status checks of an instance fail, or pass again.
func (s *Server) Impair(id string, impaired bool) error {
	return s.change(id, func(in *instance, _ time.Duration) error {
		in.impaired = impaired
		return nil
	})
}

// FailLaunches lets the next launches of a group fail, one by each of the faults; see LaunchFaults.
func (s *Server) FailLaunches(group string, faults ...LaunchFault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[group]
	if g == nil {
		return fmt.Errorf("there is no group %q", group)
	}
	g.faults = append(g.faults, faults...)
	return nil
}

// due is when an interrupted instance is gone.
func (in *instance) due() time.Duration {
	if in.killAt > 0 && in.state != terminated {
		return in.killAt
	}
	return cloudmodel.Never
}
