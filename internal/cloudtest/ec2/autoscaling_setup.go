package ec2

import (
	"slices"
	"strings"
)

type createGroupInput struct {
	Name                string        `q:"AutoScalingGroupName,required"`
	LaunchTemplate      *templateSpec `q:"LaunchTemplate"`
	Mixed               *mixedPolicy  `q:"MixedInstancesPolicy"`
	MinSize             int           `q:",required"`
	MaxSize             int           `q:",required"`
	Desired             *int          `q:"DesiredCapacity"`
	DefaultCooldown     *int
	Zones               []string `q:"AvailabilityZones"`
	HealthCheckType     string
	Grace               *int   `q:"HealthCheckGracePeriod"`
	Subnets             string `q:"VPCZoneIdentifier"`
	TerminationPolicies []string
	ProtectNew          bool `q:"NewInstancesProtectedFromScaleIn"`
	CapacityRebalance   bool
	Hooks               []hookOfNewGroup `q:"LifecycleHookSpecificationList"`
	Tags                []groupTag
	MaxInstanceLifetime *int
}

func (in *createGroupInput) target(c *call) target { return c.ofGroup(in.Name) }

func createAutoScalingGroup(c *call, in *createGroupInput) (*none, error) {
	if c.groups[in.Name] != nil {
		return nil, refuse("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", in.Name)
	}
	desired := in.MinSize
	if in.Desired != nil {
		desired = *in.Desired
	}
	if err := checkSizes(in.MinSize, desired, in.MaxSize); err != nil {
		return nil, err
	}
	if (in.LaunchTemplate == nil) == (in.Mixed == nil) {
		return nil, invalid("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	g, err := c.newGroup(GroupConfig{
		Name: in.Name, Min: in.MinSize, Desired: desired, Max: in.MaxSize, Model: c.cfg.Model, Seed: uint64(len(c.groups)),
		ProtectNew: in.ProtectNew, CapacityRebalance: in.CapacityRebalance,
	})
	if err != nil {
		return nil, err
	}
	settings := groupSettings{
		template: in.LaunchTemplate, mixed: in.Mixed, cooldown: in.DefaultCooldown, grace: in.Grace, lifetime: in.MaxInstanceLifetime,
		healthType: in.HealthCheckType, subnets: in.Subnets, zones: in.Zones,
	}
	if err := settings.apply(c, g); err != nil {
		return nil, err
	}
	if len(g.zones) == 0 {
		return nil, invalid("At least one Availability Zone or VPC Subnet is required.")
	}
	for _, h := range in.Hooks {
		g.hooks = append(g.hooks, hookFields{h.Name, in.Name, h.Transition, h.Heartbeat, h.Result, h.Metadata, h.Target, h.Role})
	}
	for _, t := range in.Tags {
		g.setTag(t)
	}
	c.add(g)
	g.setDesired(c.elapsed(), desired, "a user request created an AutoScalingGroup changing the desired capacity from 0 to %d.", desired)
	return &none{}, nil
}

func checkSizes(low, desired, high int) error {
	switch {
	case low < 0 || high < 0:
		return invalid("Sizes must not be negative")
	case low > high:
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", high, low)
	case desired < low || desired > high:
		return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", desired, low, high)
	}
	return nil
}

// groupSettings are what create and update requests have in common.
type groupSettings struct {
	template                  *templateSpec
	mixed                     *mixedPolicy
	cooldown, grace, lifetime *int
	healthType, subnets       string
	zones                     []string
}

// apply puts the settings into a group. It changes nothing when it returns an error.
func (s *groupSettings) apply(c *call, g *group) error {
	spec := s.template
	if s.mixed != nil {
		spec = s.mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	if spec != nil {
		if err := spec.checked(c.Server); err != nil {
			return err
		}
	}
	zones, err := c.zonesOf(s.subnets, s.zones)
	if err != nil {
		return err
	}
	switch {
	case s.mixed != nil:
		g.mixed, g.template = s.mixed, nil
	case s.template != nil:
		g.mixed, g.template = nil, s.template
	}
	if len(zones) > 0 {
		g.zones = zones
	}
	for to, from := range map[*int]*int{&g.cooldown: s.cooldown, &g.grace: s.grace, &g.lifetime: s.lifetime} {
		if from != nil {
			*to = *from
		}
	}
	if s.healthType != "" {
		g.healthType = s.healthType
	}
	return nil
}

// zonesOf returns the indices of subnets that are named by their ids, or by their zones.
func (s *Server) zonesOf(ids string, zones []string) ([]int, error) {
	var list []int
	for id := range strings.SplitSeq(ids, ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		i := slices.IndexFunc(s.network.subnets, func(n subnet) bool { return n.id == id })
		if i < 0 {
			return nil, invalid("The subnet ID '%s' does not exist", id)
		}
		list = append(list, i)
	}
	if ids != "" {
		return list, nil
	}
	for _, zone := range zones {
		i := slices.IndexFunc(s.network.subnets, func(n subnet) bool { return n.zone == zone })
		if i < 0 {
			return nil, invalid("Invalid availability zones: %s", zone)
		}
		list = append(list, i)
	}
	return list, nil
}

type updateGroupInput struct {
	Name                string        `q:"AutoScalingGroupName,required"`
	LaunchTemplate      *templateSpec `q:"LaunchTemplate"`
	Mixed               *mixedPolicy  `q:"MixedInstancesPolicy"`
	MinSize             *int
	MaxSize             *int
	Desired             *int `q:"DesiredCapacity"`
	DefaultCooldown     *int
	Zones               []string `q:"AvailabilityZones"`
	HealthCheckType     string
	Grace               *int   `q:"HealthCheckGracePeriod"`
	Subnets             string `q:"VPCZoneIdentifier"`
	TerminationPolicies []string
	ProtectNew          *bool `q:"NewInstancesProtectedFromScaleIn"`
	CapacityRebalance   *bool
	MaxInstanceLifetime *int
}

func (in *updateGroupInput) target(c *call) target { return c.ofGroup(in.Name) }

func updateAutoScalingGroup(c *call, in *updateGroupInput) (*none, error) {
	g, err := c.group(in.Name)
	if err != nil {
		return nil, err
	}
	low, high, desired := g.cfg.Min, g.cfg.Max, g.desired
	for to, from := range map[*int]*int{&low: in.MinSize, &high: in.MaxSize} {
		if from != nil {
			*to = *from
		}
	}
	desired = min(max(desired, low), high) // AWS moves it into the new bounds
	if in.Desired != nil {
		desired = *in.Desired
	}
	if err := checkSizes(low, desired, high); err != nil {
		return nil, err
	}
	settings := groupSettings{
		template: in.LaunchTemplate, mixed: in.Mixed, cooldown: in.DefaultCooldown, grace: in.Grace, lifetime: in.MaxInstanceLifetime,
		healthType: in.HealthCheckType, subnets: in.Subnets, zones: in.Zones,
	}
	if err := settings.apply(c, g); err != nil {
		return nil, err
	}
	for to, from := range map[*bool]*bool{&g.cfg.ProtectNew: in.ProtectNew, &g.cfg.CapacityRebalance: in.CapacityRebalance} {
		if from != nil {
			*to = *from
		}
	}
	g.cfg.Min, g.cfg.Max = low, high
	g.setDesired(c.elapsed(), desired, "a user request update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d changing the desired capacity from %d to %d.",
		low, high, desired, g.desired, desired)
	return &none{}, nil
}

type deleteGroupInput struct {
	Name  string `q:"AutoScalingGroupName,required"`
	Force bool   `q:"ForceDelete"`
}

func (in *deleteGroupInput) target(c *call) target { return c.ofGroup(in.Name) }

func deleteAutoScalingGroup(c *call, in *deleteGroupInput) (*none, error) {
	g, err := c.group(in.Name)
	if err != nil {
		return nil, err
	}
	now := c.elapsed()
	for _, i := range g.launched {
		switch {
		case !i.member:
			continue
		case !in.Force:
			return nil, refuse("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
		case i.lifecycle == lifeTerminating:
			continue
		}
		if _, err := g.terminate(c, now, i, g.said(now, "an instance was taken out of service in response to a user request.")); err != nil {
			return nil, err
		}
	}
	g.setDesired(now, 0, "a user request deleted the group.")
	g.cfg.Min, g.cfg.Max = 0, 0
	g.deleting = true
	return &none{}, nil
}

type processesInput struct {
	Name      string   `q:"AutoScalingGroupName,required"`
	Processes []string `q:"ScalingProcesses"`
}

func (in *processesInput) target(c *call) target { return c.ofGroup(in.Name) }

// processes are those that can be suspended.
func processes() []string {
	return []string{
		"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions",
	}
}

func suspendProcesses(c *call, in *processesInput) (*none, error) {
	return c.changeProcesses(in, func(g *group, name string) {
		if !g.isSuspended(name) {
			g.suspended = append(g.suspended, name)
		}
	})
}

func resumeProcesses(c *call, in *processesInput) (*none, error) {
	return c.changeProcesses(in, func(g *group, name string) {
		g.suspended = slices.DeleteFunc(g.suspended, func(s string) bool { return s == name })
	})
}

func (c *call) changeProcesses(in *processesInput, change func(g *group, name string)) (*none, error) {
	g, err := c.group(in.Name)
	if err != nil {
		return nil, err
	}
	names := in.Processes
	if len(names) == 0 {
		names = processes()
	}
	for _, name := range names {
		if !slices.Contains(processes(), name) {
			return nil, invalid("Invalid process type: %s", name)
		}
	}
	for _, name := range names {
		change(g, name)
	}
	return &none{}, nil
}
