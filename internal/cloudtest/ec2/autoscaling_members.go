package ec2

import "time"

type (
	membersInput struct {
		Group       string   `q:"AutoScalingGroupName,required"`
		InstanceIDs []string `q:"InstanceIds"`
		Decrement   bool     `q:"ShouldDecrementDesiredCapacity,required"`
	}
	exitStandbyInput struct {
		Group       string   `q:"AutoScalingGroupName,required"`
		InstanceIDs []string `q:"InstanceIds"`
	}
	activitiesOutput struct {
		Activities members[activityXML] `xml:"Activities"`
	}
	protectInput struct {
		Group       string   `q:"AutoScalingGroupName,required"`
		InstanceIDs []string `q:"InstanceIds,required"`
		Protected   bool     `q:"ProtectedFromScaleIn,required"`
	}
	healthInput struct {
		InstanceID  string `q:"InstanceId,required"`
		Status      string `q:"HealthStatus,required"`
		GracePeriod *bool  `q:"ShouldRespectGracePeriod"`
	}
)

func (in *membersInput) target(c *call) target     { return c.ofGroup(in.Group) }
func (in *exitStandbyInput) target(c *call) target { return c.ofGroup(in.Group) }
func (in *protectInput) target(c *call) target     { return c.ofGroup(in.Group) }

func (in *healthInput) target(c *call) target {
	return (&terminateInGroupInput{InstanceID: in.InstanceID}).target(c)
}

// membersOf returns instances of a group by their ids.
func (c *call) membersOf(group string, ids []string) (*group, []*instance, error) {
	g, err := c.group(group)
	if err != nil {
		return nil, nil, err
	}
	var list []*instance
	for _, id := range ids {
		i := c.instances[id]
		if i == nil || !i.member || i.group != g {
			return nil, nil, invalid("The instance %s is not part of Auto Scaling group %s.", id, group)
		}
		list = append(list, i)
	}
	return g, list, nil
}

// takeOut takes instances out of the count of their group, which launches others unless the desired capacity is decremented.
func (c *call) takeOut(in *membersInput, verb string, each func(i *instance)) (*activitiesOutput, error) {
	g, list, err := c.membersOf(in.Group, in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.lifecycle != lifeInService && i.lifecycle != lifeStandby {
			return nil, invalid("The instance %s is not in InService or Standby.", i.id)
		}
	}
	if in.Decrement && g.desired-len(list) < g.cfg.Min {
		return nil, invalid("Currently, desiredSize equals minSize (%d). Removing instances without replacement will violate group's min size constraint.", g.cfg.Min)
	}
	now, out := c.elapsed(), &activitiesOutput{}
	for _, i := range list {
		if in.Decrement && i.lifecycle == lifeInService {
			g.desired--
		}
		each(i)
		a := g.begin(now, "InProgress", 50, verb+i.id, g.said(now, "instance %s was moved in response to a user request.", i.id))
		out.Activities.List = append(out.Activities.List, a.answer())
		a.finish(c.at(now))
	}
	g.why = g.said(now, "instances were taken out of service in response to a user request.")
	g.wakeAt = now + g.cfg.Reaction
	return out, nil
}

func detachInstances(c *call, in *membersInput) (*activitiesOutput, error) {
	return c.takeOut(in, "Detaching EC2 instance: ", func(i *instance) { i.member, i.lifecycle = false, "Detached" })
}

func enterStandby(c *call, in *membersInput) (*activitiesOutput, error) {
	return c.takeOut(in, "Moving EC2 instance to Standby: ", func(i *instance) { i.lifecycle = lifeStandby })
}

func exitStandby(c *call, in *exitStandbyInput) (*activitiesOutput, error) {
	g, list, err := c.membersOf(in.Group, in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	now, out := c.elapsed(), &activitiesOutput{}
	for _, i := range list {
		if i.lifecycle != lifeStandby {
			return nil, invalid("The instance %s is not in Standby.", i.id)
		}
		if g.desired >= g.cfg.Max {
			return nil, invalid("Moving %s out of standby would exceed the group's max size (%d).", i.id, g.cfg.Max)
		}
		g.desired++
		i.lifecycle = lifeInService
		a := g.begin(now, "PreInService", 30, "Moving EC2 instance out of Standby: "+i.id, g.said(now, "instance %s was moved in response to a user request.", i.id))
		out.Activities.List = append(out.Activities.List, a.answer())
		a.finish(c.at(now))
	}
	return out, nil
}

func setInstanceProtection(c *call, in *protectInput) (*struct{}, error) {
	g, list, err := c.membersOf(in.Group, in.InstanceIDs)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		i.protected = in.Protected
	}
	g.blocked = false
	return &struct{}{}, nil
}

func setInstanceHealth(c *call, in *healthInput) (*none, error) {
	i := c.instances[in.InstanceID]
	if i == nil || !i.member {
		return nil, noManagedInstance(in.InstanceID)
	}
	if in.Status != healthy && in.Status != unhealthy {
		return nil, invalid("The HealthStatus must be either Healthy or Unhealthy")
	}
	i.health = in.Status
	i.noticed(c.elapsed())
	return &none{}, nil
}

// DetachInstance takes an instance out of its group, as a person does. It goes on running, and AWS never ends it.
func (s *Server) DetachInstance(id string, decrement bool) error {
	return s.move(id, decrement, detachInstances)
}

// Standby sets an instance to standby, as a person does.
func (s *Server) Standby(id string, decrement bool) error { return s.move(id, decrement, enterStandby) }

func (s *Server) move(id string, decrement bool, how func(*call, *membersInput) (*activitiesOutput, error)) error {
	return s.change(id, func(in *instance, _ time.Duration) error {
		_, err := how(&call{Server: s, service: serviceAutoScaling}, &membersInput{Group: in.group.name, InstanceIDs: []string{id}, Decrement: decrement})
		return err
	})
}
