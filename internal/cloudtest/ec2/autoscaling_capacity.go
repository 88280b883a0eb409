package ec2

import "time"

// ofGroup is a target: a group by its name.
func (c *call) ofGroup(name string) target {
	g := c.groups[name]
	if g == nil {
		return target{resource: "arn:aws:autoscaling:" + c.cfg.Region + ":" + c.cfg.Account + ":autoScalingGroup:*:autoScalingGroupName/" + name}
	}
	t := target{resource: g.arn, keys: map[string]string{}}
	for _, tag := range g.tags {
		t.keys["autoscaling:ResourceTag/"+tag.Key] = tag.Value
		t.keys["aws:ResourceTag/"+tag.Key] = tag.Value
	}
	return t
}

// group returns a group by its name.
func (c *call) group(name string) (*group, error) {
	if g := c.groups[name]; g != nil {
		return g, nil
	}
	return nil, noGroup(name)
}

type setDesiredCapacityInput struct {
	Group         string `q:"AutoScalingGroupName,required"`
	Desired       int    `q:"DesiredCapacity,required"`
	HonorCooldown bool
}

func (in *setDesiredCapacityInput) target(c *call) target { return c.ofGroup(in.Group) }

func setDesiredCapacity(c *call, in *setDesiredCapacityInput) (*none, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	now := c.elapsed()
	switch {
	case in.Desired > g.cfg.Max:
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", in.Desired, g.cfg.Max)
	case in.Desired < g.cfg.Min:
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", in.Desired, g.cfg.Min)
	case in.HonorCooldown && now < g.cooled:
		return nil, refuse("ScalingActivityInProgress", "You cannot adjust the capacity while a cooldown is in progress.")
	}
	g.cooled = now + time.Duration(g.cooldown)*time.Second
	g.setDesired(now, in.Desired, "a user request explicitly set group desired capacity changing the desired capacity from %d to %d.", g.desired, in.Desired)
	return &none{}, nil
}

type (
	terminateInGroupInput struct {
		InstanceID string `q:"InstanceId,required"`
		Decrement  bool   `q:"ShouldDecrementDesiredCapacity,required"`
	}
	terminateInGroupOutput struct {
		Activity activityXML `xml:"Activity"`
	}
)

func (in *terminateInGroupInput) target(c *call) target {
	if i := c.instances[in.InstanceID]; i != nil && i.member {
		return c.ofGroup(i.group.name)
	}
	return c.ofGroup("*")
}

func terminateInstanceInAutoScalingGroup(c *call, in *terminateInGroupInput) (*terminateInGroupOutput, error) {
	i := c.instances[in.InstanceID]
	if i == nil || !i.member {
		return nil, noManagedInstance(in.InstanceID)
	}
	g, now := i.group, c.elapsed()
	if i.lifecycle == lifeTerminating {
		return nil, refuse("ScalingActivityInProgress", "Scaling activity %s is in progress and blocks this action", i.activity.id)
	}
	counts := i.lifecycle != lifeStandby // the desired capacity does not count it any more
	if in.Decrement && counts && g.desired <= g.cfg.Min {
		return nil, invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size "+
			"constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.cfg.Min)
	}
	why := g.said(now, "instance %s was taken out of service in response to a user request.", i.id)
	if in.Decrement && counts {
		why = g.said(now, "instance %s was taken out of service in response to a user request, shrinking the capacity from %d to %d.", i.id, g.desired, g.desired-1)
	}
	a, err := g.terminate(c, now, i, why)
	if err != nil {
		return nil, err
	}
	if in.Decrement && counts {
		g.desired--
	}
	g.blocked = false
	g.wakeAt = now + g.cfg.Reaction // for the replacement
	return &terminateInGroupOutput{a.answer()}, nil
}
