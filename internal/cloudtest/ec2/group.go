package ec2

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

const (
	firstRetry = 15 * time.Second
	lastRetry  = 5 * time.Minute
)

// group is an Auto Scaling group.
type group struct {
	server   *Server
	name     string
	arn      string
	created  time.Duration
	cfg      GroupConfig
	model    *cloudmodel.Cloud
	events   []cloudmodel.Event
	zones    []int // indices of subnets; empty: all
	launched []*instance
	byNumber map[uint64]*instance

	desired    int
	tags       []groupTag
	template   *templateSpec
	mixed      *mixedPolicy
	cooldown   int
	healthType string
	grace      int
	lifetime   int // seconds
	warmPool   *warmPool
	policies   []scalingPolicy
	scheduled  []scheduledAction
	refreshes  []*instanceRefresh
	hooks      []hookFields
	suspended  []string
	deleting   bool

	activities []*activity
	faults     []LaunchFault // of the next launches
	why        string        // what changed the desired capacity
	wakeAt     time.Duration // when the group acts on a difference between desired and actual capacity
	wait       time.Duration // before the next try after a failed launch
	cooled     time.Duration // the end of the cooldown
	blocked    bool          // it was said already that all instances are protected
}

// addConfigured adds a group of the Config.
func (s *Server) addConfigured(cfg *GroupConfig) error {
	setDefault(&cfg.Image, ImageLinux)
	kind := "m6i.large"
	if cfg.Image == ImageARM {
		kind = "m6g.large"
	}
	setDefault(&cfg.InstanceType, kind)
	if s.images[cfg.Image] == nil {
		return fmt.Errorf("there is no image %q", cfg.Image)
	}
	if cfg.KeyName != "" && s.keys[cfg.KeyName] == nil {
		return fmt.Errorf("there is no key pair %q in Config.KeyPairs", cfg.KeyName)
	}
	t := s.newTemplate(cfg.Name, templateData{
		ImageID: cfg.Image, InstanceType: cfg.InstanceType, KeyName: cfg.KeyName, SecurityGroupIDs: items[string]{[]string{s.network.securityGroups[0].id}},
	})
	g, err := s.newGroup(*cfg)
	if err != nil {
		return err
	}
	spec := &templateSpec{LaunchTemplateID: t.id, LaunchTemplateName: t.name, Version: "$Latest"}
	if cfg.MixedInstances {
		g.mixed = defaultMixed(spec)
	} else {
		g.template = spec
	}
	for key, value := range cfg.Tags {
		g.tags = append(g.tags, groupTag{Key: key, Value: value, PropagateAtLaunch: true, ResourceID: g.name, ResourceType: resourceGroup})
	}
	slices.SortFunc(g.tags, func(a, b groupTag) int { return compare(a.Key, b.Key) })
	g.suspended = slices.Clone(cfg.Suspended)
	s.add(g)
	g.setDesired(s.elapsed(), cfg.Desired, "a user request created an AutoScalingGroup changing the desired capacity from 0 to %d.", cfg.Desired)
	return nil
}

// newGroup makes a group without launch template.
func (s *Server) newGroup(cfg GroupConfig) (*group, error) {
	switch {
	case cfg.Name == "":
		return nil, errors.New("the group has no name")
	case s.groups[cfg.Name] != nil:
		return nil, fmt.Errorf("there is a group %q already", cfg.Name)
	case cfg.Min < 0 || cfg.Desired < cfg.Min || cfg.Max < cfg.Desired:
		return nil, fmt.Errorf("the sizes of the group %q are not in order: min %d, desired %d, max %d", cfg.Name, cfg.Min, cfg.Desired, cfg.Max)
	}
	setDefault(&cfg.Retry, firstRetry)
	model, err := cloudmodel.New(cfg.Model, cfg.Seed)
	if err != nil {
		return nil, fmt.Errorf("the model of the group %q: %w", cfg.Name, err)
	}
	g := &group{
		server: s, name: cfg.Name, cfg: cfg, model: model, byNumber: map[uint64]*instance{}, created: s.elapsed(), cooldown: 300, healthType: "EC2",
		arn: fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s", s.cfg.Region, s.cfg.Account, requestID(), cfg.Name),
	}
	model.Advance(g.created, nil)
	return g, nil
}

// setDesired changes the desired capacity. The group acts on it after its reaction time.
func (g *group) setDesired(at time.Duration, n int, why string, args ...any) {
	g.desired = n
	g.why = g.said(at, why, args...)
	g.blocked = false
	g.wait = 0
	g.wakeAt = at + g.cfg.Reaction
}

// isSuspended reports whether a process of the group is suspended.
func (g *group) isSuspended(process string) bool { return slices.Contains(g.suspended, process) }

// active are the instances that count for the desired capacity.
func (g *group) active() []*instance {
	var list []*instance
	for _, in := range g.launched {
		if in.member && (in.lifecycle == lifePending || in.lifecycle == lifeInService) {
			list = append(list, in)
		}
	}
	return list
}

// members are the instances of the group, also those that terminate.
func (g *group) members() []*instance {
	var list []*instance
	for _, in := range g.launched {
		if in.member {
			list = append(list, in)
		}
	}
	return list
}

// add adds the group to the account.
func (s *Server) add(g *group) {
	s.groups[g.name] = g
	s.all = append(s.all, g)
}

// next returns when something happens by itself.
func (g *group) next() (at time.Duration, ok bool) {
	at = cloudmodel.Never
	if t, due := g.model.Next(); due {
		at = t
	}
	active := g.active()
	short := len(active) < g.desired && !g.isSuspended("Launch")
	tooMany := len(active) > g.desired && !g.blocked && !g.isSuspended("Terminate")
	if short || tooMany {
		at = min(at, g.wakeAt)
	}
	for _, in := range g.launched {
		at = min(at, in.due())
		if in.sick() && !g.isSuspended("ReplaceUnhealthy") && !g.isSuspended("HealthCheck") {
			at = min(at, in.dueHealth)
		}
	}
	return at, at != cloudmodel.Never
}

// step plays what is due.
func (g *group) step(at time.Duration) {
	for _, in := range g.launched {
		if in.due() <= at {
			in.killAt = 0
			g.model.Kill(at, in.number)
		}
	}
	g.events = g.model.Advance(at, g.events[:0])
	for _, e := range g.events {
		if in := g.byNumber[e.Number]; in != nil {
			in.event(e)
		}
	}
	g.replaceSick(at)
	if at < g.wakeAt {
		return
	}
	switch active := len(g.active()); {
	case active < g.desired && !g.isSuspended("Launch"):
		g.launch(at, active)
	case active > g.desired && !g.isSuspended("Terminate"):
		g.scaleIn(at)
	}
}
