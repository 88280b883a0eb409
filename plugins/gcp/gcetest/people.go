package gcetest

import (
	"fmt"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// Truth is what truly exists of a group.
type Truth struct {
	TargetSize int
	Instances  []InstanceTruth // in the order in which the members were created; those without instance too
}

// InstanceTruth is one managed instance, as it truly is.
type InstanceTruth struct {
	Name   string
	Zone   string
	Group  string // "" if it was abandoned
	ID     uint64 // 0: there is no instance now
	Status string // of the instance, "" if there is none
	Action string // the group's current action
	IP     string // internal address
}

// State returns what truly exists of a group, whatever lists say. The place is the group's zone or region.
func (s *Server) State(place, name string) (Truth, error) {
	var t Truth
	err := s.onGroup(place, name, func(g *group) error {
		t.TargetSize = g.target
		for _, m := range g.members {
			t.Instances = append(t.Instances, m.truth())
		}
		return nil
	})
	return t, err
}

// Instances returns what truly exists, also instances that no group manages any more.
func (s *Server) Instances() []InstanceTruth {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	var list []InstanceTruth
	for _, in := range s.all() {
		if in.status != gone {
			list = append(list, in.truth())
		}
	}
	return list
}

func (m *member) truth() InstanceTruth {
	t := InstanceTruth{Name: m.name, Zone: m.zone.name}
	if m.in != nil && m.in.status != gone {
		t = m.in.truth()
	}
	t.Group, t.Action = m.group.name, m.action
	return t
}

func (in *instance) truth() InstanceTruth {
	t := InstanceTruth{Name: in.name, Zone: in.zone.name, ID: in.id, Status: in.shown(), IP: in.internal}
	if in.member != nil {
		t.Group, t.Action = in.group.name, in.member.action
	}
	return t
}

// Created returns how many instances were created since the start.
func (s *Server) Created() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	return s.made
}

// onGroup runs f for a group.
func (s *Server) onGroup(place, name string, f func(g *group) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	defer s.advance()
	for _, kind := range []string{"zones/", "regions/"} {
		if g := s.groups[kind+place+"/instanceGroupManagers/"+name]; g != nil {
			return f(g)
		}
	}
	return fmt.Errorf("there is no group %q in %q", name, place)
}

// change runs f for an instance. Zone and name are those of its URL.
func (s *Server) change(zone, name string, f func(in *instance, at time.Duration) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	defer s.advance()
	for _, in := range s.all() {
		if in.zone.name == zone && in.name == name && in.status != gone {
			return f(in, s.elapsed())
		}
	}
	return fmt.Errorf("there is no instance %q in %q", name, zone)
}

// DeleteInstance deletes an instance as a person does in the console, past its group. The group creates it again.
func (s *Server) DeleteInstance(zone, name string) error {
	return s.change(zone, name, func(in *instance, at time.Duration) error { return in.stop(nil, at) })
}

// StopInstance stops an instance as a person does in the console. The group creates it again.
func (s *Server) StopInstance(zone, name string) error {
	return s.change(zone, name, func(in *instance, at time.Duration) error {
		if in.status != running {
			return fmt.Errorf("the instance %s does not run", name)
		}
		in.ending, in.status = stopped, stopping
		in.stopAt = at + in.fate.Delete
		return nil
	})
}

// Preempt announces the preemption of a spot instance. After Config.Notice it is stopped, and the group creates it again.
func (s *Server) Preempt(zone, name string) error {
	return s.change(zone, name, func(in *instance, at time.Duration) error {
		if !in.spot() || in.status != running {
			return fmt.Errorf("the instance %s is no spot instance that runs", name)
		}
		in.preempt()
		in.stopAt = at + s.cfg.Notice
		return nil
	})
}

// HostError lets the host of an instance die. An instance that restarts automatically is back, with the same id, after the time of its boot; for another one the
// group creates a new one.
func (s *Server) HostError(zone, name string) error {
	return s.change(zone, name, func(in *instance, at time.Duration) error {
		if in.status != running {
			return fmt.Errorf("the instance %s does not run", name)
		}
		if !in.template.GetProperties().GetScheduling().GetAutomaticRestart() || in.fate.Boot == cloudmodel.Never {
			in.group.model.Kill(at, in.number)
			return nil
		}
		in.record("compute.instances.hostError", "Instance terminated by Compute Engine.")
		in.status, in.bootAt = repairing, at+in.fate.Boot
		in.stopMachine(true)
		return nil
	})
}

// Repair lets the group create an instance again, as when its health check fails: the same name, another id.
func (s *Server) Repair(zone, name string) error {
	return s.change(zone, name, func(in *instance, at time.Duration) error {
		if m := in.member; m == nil || m.action == deleting || m.action == abandoning {
			return fmt.Errorf("no group keeps the instance %s", name)
		}
		in.record(repairKind, "Instance eligible for repair: instance's current action is NONE, but health status is TIMEOUT.")
		in.member.act(recreating, at)
		return nil
	})
}

// SetMetadata sets an entry of an instance's metadata as another person does; an empty value removes it.
func (s *Server) SetMetadata(zone, name, key, text string) error {
	return s.change(zone, name, func(in *instance, at time.Duration) error {
		in.changeMetadata(&computepb.Metadata{Items: with(in.metadata.GetItems(), key, text)}, at)
		return nil
	})
}

// Metadata returns an entry of an instance's metadata, as it is now.
func (s *Server) Metadata(zone, name, key string) (text string, err error) {
	err = s.change(zone, name, func(in *instance, _ time.Duration) error {
		text = value(in.metadata, key)
		return nil
	})
	return text, err
}

// with returns the items with one of them changed or, if the value is empty, without it.
func with(items []*computepb.Items, key, text string) []*computepb.Items {
	var list []*computepb.Items
	for _, item := range items {
		if item.GetKey() != key {
			list = append(list, item)
		}
	}
	if text != "" {
		list = append(list, &computepb.Items{Key: &key, Value: &text})
	}
	return list
}

// SetProjectMetadata sets an entry of the project's metadata; an empty value removes it.
func (s *Server) SetProjectMetadata(key, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metadata = &computepb.Metadata{Items: with(s.metadata.GetItems(), key, text)}
	for _, in := range s.all() {
		in.agentAt = s.elapsed() + s.cfg.Agent
	}
	s.changed()
}

// SetAutoscaler gives a group an autoscaler with this mode, or changes its mode. "" removes it.
func (s *Server) SetAutoscaler(place, name, mode string) error {
	return s.onGroup(place, name, func(g *group) error {
		delete(s.scalers, g.place+"/autoscalers/"+g.name)
		if mode != "" {
			s.addAutoscaler(g, mode)
		}
		return nil
	})
}

// Patch changes a group as another person does: what is set in the change.
func (s *Server) Patch(place, name string, change *computepb.InstanceGroupManager) error {
	return s.onGroup(place, name, func(g *group) error {
		spec := proto.CloneOf(g.spec)
		merge(spec.ProtoReflect(), change.ProtoReflect())
		g.spec = spec
		g.version++
		if change.TargetSize != nil {
			g.resize(s.elapsed(), int(change.GetTargetSize()))
		}
		return nil
	})
}

// FailCreates lets the next creates of a group's instances fail, one by each of the faults; see CreateFaults. The group tries again.
func (s *Server) FailCreates(place, name string, faults ...OperationFault) error {
	return s.onGroup(place, name, func(g *group) error {
		g.faults = append(g.faults, faults...)
		return nil
	})
}

// StockOut says whether a zone has no capacity for new instances.
func (s *Server) StockOut(name string, out bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.zone(name)
	if z == nil {
		return fmt.Errorf("there is no zone %q", name)
	}
	z.stockOut = out
	return nil
}
