package gcetest

import (
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// group returns the group that a call is about.
func (c *call) group() (*group, *apiError) {
	path := c.place() + "/instanceGroupManagers/" + c.vars["instance_group_manager"]
	if g := c.groups[path]; g != nil {
		return g, nil
	}
	return nil, c.missing(path)
}

// onGroup runs f for the group that a call is about, and begins an operation for it.
func (c *call) onGroup(f func(g *group) *apiError) (*computepb.Operation, error) {
	g, fault := c.group()
	if fault != nil {
		return nil, fault
	}
	if fault := f(g); fault != nil {
		return nil, fault
	}
	return c.done(g.path(), g.id)
}

func (c *call) getGroup() (*computepb.InstanceGroupManager, error) {
	g, fault := c.group()
	if fault != nil {
		return nil, fault
	}
	return g.answer(), nil
}

// groupsHere are the groups at the call's place.
func (c *call) groupsHere() []*computepb.InstanceGroupManager {
	var all []*computepb.InstanceGroupManager
	for _, g := range c.sorted() {
		if g.place == c.place() {
			all = append(all, g.answer())
		}
	}
	return all
}

// mostNamed is how many instances a call can name.
const mostNamed = 1000

// maxSize is the largest size of a group.
func (g *group) maxSize() int {
	if strings.HasPrefix(g.place, "regions/") {
		return 2000
	}
	return 1000
}

func (c *call) resize(size int32) (*computepb.Operation, error) {
	return c.onGroup(func(g *group) *apiError {
		switch {
		case size < 0 || int(size) > g.maxSize():
			return invalid("Invalid value for field 'size': '%d'. Must be between 0 and %d.", size, g.maxSize())
		case c.scales(g):
			return invalid("Invalid value for field 'size': '%d'. The group is autoscaled and cannot be resized manually.", size)
		}
		g.resize(c.elapsed(), int(size))
		return nil
	})
}

// scales reports whether an autoscaler sets the group's size.
func (c *call) scales(g *group) bool {
	for _, a := range c.scalers {
		if a.GetTarget() == c.link(g.path()) && a.GetAutoscalingPolicy().GetMode() == "ON" {
			return true
		}
	}
	return false
}

func (c *call) createInstances(list []*computepb.PerInstanceConfig) (*computepb.Operation, error) {
	return c.onGroup(func(g *group) *apiError {
		if len(list) == 0 {
			return invalid("Required field 'resource.instances' not specified").withReason("required")
		}
		seen := map[string]bool{}
		for i, one := range list {
			name := one.GetName()
			switch {
			case !resourceName.MatchString(name):
				return invalid("Invalid value for field 'resource.instances[%d].name': '%s'. Must be a match of regex '%s'", i, name, resourceName)
			case seen[name]:
				return invalid("Invalid value for field 'resource.instances[%d].name': '%s'. The name is given twice.", i, name)
			case g.member(name) != nil:
				return c.exists(g.place + "/instances/" + name)
			}
			seen[name] = true
		}
		if g.target+len(list) > g.maxSize() {
			return invalid("Invalid value for field 'resource.instances': ''. The group would be larger than %d.", g.maxSize())
		}
		for _, one := range list {
			g.target++
			g.add(c.elapsed(), one.GetName())
		}
		return nil
	})
}

// instanceList is what the bodies have that name instances.
type instanceList interface{ GetInstances() []string }

// skipper is a list that may have instances that are skipped.
type skipper interface{ GetSkipInstancesOnValidationError() bool }

// onMembers runs f for each member that a list names.
func (c *call) onMembers(list instanceList, f func(g *group, m *member)) (*computepb.Operation, error) {
	return c.onGroup(func(g *group) *apiError {
		names := list.GetInstances()
		s, ok := list.(skipper)
		skips := ok && s.GetSkipInstancesOnValidationError()
		switch {
		case len(names) == 0:
			return invalid("Required field 'resource.instances' not specified").withReason("required")
		case len(names) > mostNamed:
			return invalid("Invalid value for field 'resource.instances': ''. At most %d instances can be given.", mostNamed)
		}
		var found []*member
		for i, link := range names {
			m := g.linked(link)
			if m == nil || m.action == deleting || m.action == abandoning {
				if skips {
					continue
				}
				return invalid("Invalid value for field 'resource.instances[%d]': '%s'. The instance is not a member of the managed instance group, or it is being "+
					"deleted or abandoned.", i, link)
			}
			if slices.Contains(found, m) {
				return invalid("Invalid value for field 'resource.instances[%d]': '%s'. The instance is given twice.", i, link)
			}
			found = append(found, m)
		}
		for _, m := range found {
			f(g, m)
		}
		return nil
	})
}

// linked returns the member with a full or partial URL, zones/ZONE/instances/NAME at least.
func (g *group) linked(link string) *member {
	path := g.server.unlink(link)
	part := strings.Split(path, "/")
	if len(part) != 4 || part[0] != "zones" || part[2] != "instances" {
		return nil
	}
	if m := g.member(part[3]); m != nil && m.zone.name == part[1] {
		return m
	}
	return nil
}

func (c *call) deleteInstances(list instanceList) (*computepb.Operation, error) {
	return c.onMembers(list, func(g *group, m *member) {
		g.target--
		m.act(deleting, c.elapsed()+g.cfg.Reaction)
	})
}

func (c *call) abandonInstances(list instanceList) (*computepb.Operation, error) {
	return c.onMembers(list, func(g *group, m *member) {
		g.target--
		m.act(abandoning, c.elapsed()+g.cfg.Reaction)
	})
}

func (c *call) recreateInstances(list instanceList) (*computepb.Operation, error) {
	return c.onMembers(list, func(g *group, m *member) {
		if m.in != nil {
			m.act(recreating, c.elapsed()+g.cfg.Reaction)
		}
	})
}

func (c *call) insertGroup(spec *computepb.InstanceGroupManager) (*computepb.Operation, error) {
	spec = proto.CloneOf(spec)
	path := c.place() + "/instanceGroupManagers/" + spec.GetName()
	switch {
	case !resourceName.MatchString(spec.GetName()):
		return nil, invalid("Invalid value for field 'resource.name': '%s'. Must be a match of regex '%s'", spec.GetName(), resourceName)
	case c.groups[path] != nil:
		return nil, c.exists(path)
	case spec.TargetSize == nil:
		return nil, invalid("Required field 'resource.targetSize' not specified").withReason("required")
	}
	if fault := c.checkSpec(spec); fault != nil {
		return nil, fault
	}
	if spec.BaseInstanceName == nil {
		spec.BaseInstanceName = spec.Name
	}
	g, err := c.newGroup(c.place(), spec, GroupConfig{Model: c.cfg.Model})
	if err != nil {
		return nil, err
	}
	g.resize(c.elapsed(), int(spec.GetTargetSize()))
	return c.done(g.path(), g.id)
}

// checkSpec checks what an insert or patch says of the template.
func (c *call) checkSpec(spec *computepb.InstanceGroupManager) *apiError {
	link := spec.GetInstanceTemplate()
	if v := spec.GetVersions(); link == "" && len(v) > 0 {
		link = v[0].GetInstanceTemplate()
	}
	if link == "" {
		return invalid("Required field 'resource.instanceTemplate' not specified").withReason("required")
	}
	if c.templates[c.unlink(link)] == nil {
		return c.missing(c.unlink(link))
	}
	return nil
}

func (c *call) patchGroup(change *computepb.InstanceGroupManager) (*computepb.Operation, error) {
	return c.onGroup(func(g *group) *apiError {
		if f := change.GetFingerprint(); f != "" && f != g.fingerprint() {
			return refuse(412, "conditionNotMet", "Invalid fingerprint.")
		}
		spec := proto.CloneOf(g.spec)
		merge(spec.ProtoReflect(), change.ProtoReflect())
		spec.Name, spec.Fingerprint = &g.name, nil
		if fault := c.checkSpec(spec); fault != nil {
			return fault
		}
		g.spec = spec
		g.version++
		if change.TargetSize != nil {
			g.resize(c.elapsed(), int(change.GetTargetSize()))
		}
		return nil
	})
}

// errorPage is a page of a group's errors, the newest first.
func (c *call) errorPage(in listRequest) ([]*computepb.InstanceManagedByIgmError, *string, error) {
	g, fault := c.group()
	if fault != nil {
		return nil, nil, fault
	}
	all := slices.Clone(g.errors)
	slices.Reverse(all)
	return page(c, all, in)
}
