package gcetest

import (
	"regexp"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

var resourceName = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)

// merge is a patch as Google does it: messages are merged, and lists are replaced.
func merge(to, change protoreflect.Message) {
	change.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsList() && !f.IsMap() {
			merge(to.Mutable(f).Message(), v.Message())
			return true
		}
		to.Set(f, v)
		return true
	})
}

func (g *group) fingerprint() string { return fingerprintOf(hash(g.path()) + uint64(g.version)) } //nolint:gosec // not negative

// answer is the group as a get shows it.
func (g *group) answer() *computepb.InstanceGroupManager {
	s, out := g.server, proto.CloneOf(g.spec)
	out.Kind, out.Id, out.SelfLink = proto.String("compute#instanceGroupManager"), &g.id, proto.String(s.link(g.path()))
	out.CreationTimestamp, out.Fingerprint = proto.String(s.stamp(g.created)), proto.String(g.fingerprint())
	out.InstanceGroup = proto.String(s.link(g.place + "/instanceGroups/" + g.name))
	out.TargetSize = proto.Int32(int32(g.target)) //nolint:gosec // at most 1000
	setPointer(&out.ListManagedInstancesResults, "PAGELESS")
	if kind, _, _ := strings.Cut(g.place, "/"); kind == "zones" {
		out.Zone = proto.String(s.link(g.place))
	} else {
		out.Region = proto.String(s.link(g.place))
		out.DistributionPolicy = &computepb.DistributionPolicy{TargetShape: proto.String(g.shape())}
		for _, z := range g.zones {
			out.DistributionPolicy.Zones = append(out.DistributionPolicy.Zones, &computepb.DistributionPolicyZoneConfiguration{Zone: proto.String(s.link("zones/" + z.name))})
		}
	}
	if len(out.Versions) == 0 {
		out.Versions = []*computepb.InstanceGroupManagerVersion{{InstanceTemplate: out.InstanceTemplate, TargetSize: &computepb.FixedOrPercent{Calculated: out.TargetSize}}}
	}
	if out.UpdatePolicy == nil {
		out.UpdatePolicy = &computepb.InstanceGroupManagerUpdatePolicy{}
	}
	setPointer(&out.UpdatePolicy.Type, "OPPORTUNISTIC")
	setPointer(&out.UpdatePolicy.MinimalAction, "REPLACE")
	setPointer(&out.UpdatePolicy.ReplacementMethod, "SUBSTITUTE")
	if out.InstanceLifecyclePolicy == nil {
		out.InstanceLifecyclePolicy = &computepb.InstanceGroupManagerInstanceLifecyclePolicy{}
	}
	setPointer(&out.InstanceLifecyclePolicy.DefaultActionOnFailure, "REPAIR")
	setPointer(&out.InstanceLifecyclePolicy.ForceUpdateOnRepair, "NO")
	out.CurrentActions = g.actions()
	stable := out.CurrentActions.GetNone() == out.GetTargetSize() && len(g.members) == g.target
	out.Status = &computepb.InstanceGroupManagerStatus{IsStable: &stable, VersionTarget: &computepb.InstanceGroupManagerStatusVersionTarget{IsReached: proto.Bool(true)}}
	for _, path := range sortedKeys(s.scalers) {
		if s.scalers[path].GetTarget() == s.link(g.path()) {
			out.Status.Autoscaler = proto.String(s.link(path))
		}
	}
	return out
}

func setPointer(to **string, value string) {
	if *to == nil {
		*to = &value
	}
}

// actions counts the members by their actions.
func (g *group) actions() *computepb.InstanceGroupManagerActionsSummary {
	count := map[string]int32{}
	for _, m := range g.members {
		count[m.action]++
	}
	n := func(action string) *int32 { return proto.Int32(count[action]) }
	return &computepb.InstanceGroupManagerActionsSummary{
		Abandoning: n(abandoning), Creating: n(creating), CreatingWithoutRetries: n(once), Deleting: n(deleting), None: n(none), Recreating: n(recreating),
		Refreshing: n("REFRESHING"), Restarting: n("RESTARTING"), Verifying: n(verifying),
	}
}

// managed lists the members, as far as the API shows them. It may lag behind the truth, as the model says.
func (c *call) managed(g *group) ([]*computepb.ManagedInstance, error) {
	shown, err := c.listed(g)
	if err != nil {
		return nil, err
	}
	var list []*computepb.ManagedInstance
	lag := g.cfg.Model.List.Lag.Value()
	for _, m := range g.members {
		switch in := m.in; {
		case in == nil || in.status == terminated || in.status == gone:
			list = append(list, m.answer(m.action, m.in))
		case shown[in.number] != 0:
			action, status := in.asOf(shown[in.number], m.action)
			one := m.answer(action, in)
			one.InstanceStatus = &status
			list = append(list, one)
		case in.created+lag > c.elapsed(): // not seen yet
			list = append(list, m.answer(m.action, nil))
		}
	}
	for _, m := range g.ghosts {
		if m.in != nil && shown[m.in.number] != 0 {
			action, status := m.in.asOf(shown[m.in.number], deleting)
			one := m.answer(action, m.in)
			one.Id, one.InstanceStatus = &m.in.id, &status
			list = append(list, one)
		}
	}
	return list, nil
}

// listed returns the states of the instances that the model's list shows, by their numbers.
func (c *call) listed(g *group) (map[uint64]cloudmodel.State, error) {
	list, listed := g.model.List(c.elapsed(), nil)
	c.delay += listed.Delay
	if listed.Failure.Failed() {
		return nil, c.ofModel(listed.Failure)
	}
	shown := make(map[uint64]cloudmodel.State, len(list))
	for _, l := range list {
		shown[l.Number] = l.State
	}
	return shown, nil
}

// asOf is the action and status that the API shows when its list is in this state.
func (in *instance) asOf(state cloudmodel.State, action string) (string, string) {
	truth := in.shown()
	switch {
	case state == cloudmodel.Creating && truth != provisioning && truth != staging:
		return creating, staging
	case state == cloudmodel.Running && (truth == stopping && in.ending == deleted || truth == gone):
		return none, running
	case truth == gone:
		return deleting, stopping
	}
	return action, truth
}

// answer is a member as a list shows it.
func (m *member) answer(action string, in *instance) *computepb.ManagedInstance {
	s := m.group.server
	out := &computepb.ManagedInstance{
		CurrentAction: &action, Name: &m.name, Instance: proto.String(s.link("zones/" + m.zone.name + "/instances/" + m.name)), TargetStatus: proto.String("RUNNING"),
		Version: &computepb.ManagedInstanceVersion{InstanceTemplate: proto.String(m.group.spec.GetInstanceTemplate())},
	}
	if in != nil && in.status != gone {
		out.Id, out.InstanceStatus = &in.id, proto.String(in.shown())
	}
	if f := m.fault; f != nil {
		out.LastAttempt = &computepb.ManagedInstanceLastAttempt{Errors: &computepb.ManagedInstanceLastAttemptErrors{
			Errors: []*computepb.Errors{{Code: &f.Code, Message: &f.Message}},
		}}
	}
	return out
}

// managedPage is a page of a group's members. Groups that are not PAGINATED answer everything.
func (c *call) managedPage(in listRequest) ([]*computepb.ManagedInstance, *string, error) {
	g, fault := c.group()
	if fault != nil {
		return nil, nil, fault
	}
	all, err := c.managed(g)
	if err != nil {
		return nil, nil, err
	}
	if g.spec.GetListManagedInstancesResults() == "PAGINATED" {
		return page(c, all, in)
	}
	return page(c, all, pageless{in})
}

// pageless is a request whose paging does not count.
type pageless struct{ listRequest }

func (pageless) GetMaxResults() uint32 { return 0 }
func (pageless) GetPageToken() string  { return "" }
