package ec2

import (
	"slices"
)

// warmPool is the configuration of a warm pool.
type warmPool struct {
	MaxPrepared *int   `xml:"MaxGroupPreparedCapacity"`
	MinSize     int    `xml:"MinSize"`
	State       string `xml:"PoolState"`
}

type (
	putWarmPoolInput struct {
		Group       string `q:"AutoScalingGroupName,required"`
		MaxPrepared *int   `q:"MaxGroupPreparedCapacity"`
		MinSize     int
		State       string `q:"PoolState"`
	}
	describeWarmPoolInput struct {
		Group      string `q:"AutoScalingGroupName,required"`
		MaxRecords *int
		NextToken  string
	}
	describeWarmPoolOutput struct {
		Configuration *warmPool          `xml:"WarmPoolConfiguration"`
		Instances     members[memberXML] `xml:"Instances"`
	}
	deleteWarmPoolInput struct {
		Group string `q:"AutoScalingGroupName,required"`
		Force bool   `q:"ForceDelete"`
	}
)

func (in *putWarmPoolInput) target(c *call) target    { return c.ofGroup(in.Group) }
func (in *deleteWarmPoolInput) target(c *call) target { return c.ofGroup(in.Group) }

func putWarmPool(c *call, in *putWarmPoolInput) (*struct{}, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	setDefault(&in.State, "Stopped")
	g.warmPool = &warmPool{in.MaxPrepared, in.MinSize, in.State}
	return &struct{}{}, nil
}

func describeWarmPool(c *call, in *describeWarmPoolInput) (*describeWarmPoolOutput, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	return &describeWarmPoolOutput{Configuration: g.warmPool}, nil
}

func deleteWarmPool(c *call, in *deleteWarmPoolInput) (*struct{}, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	g.warmPool = nil
	return &struct{}{}, nil
}

type (
	hookFields struct {
		Name       string `q:"LifecycleHookName,required" xml:"LifecycleHookName"`
		Group      string `q:"AutoScalingGroupName,required" xml:"AutoScalingGroupName"`
		Transition string `q:"LifecycleTransition" xml:"LifecycleTransition"`
		Heartbeat  *int   `q:"HeartbeatTimeout" xml:"HeartbeatTimeout"`
		Result     string `q:"DefaultResult" xml:"DefaultResult,omitempty"`
		Metadata   string `q:"NotificationMetadata" xml:"NotificationMetadata,omitempty"`
		Target     string `q:"NotificationTargetARN" xml:"NotificationTargetARN,omitempty"`
		Role       string `q:"RoleARN" xml:"RoleARN,omitempty"`
	}
	hookOfNewGroup struct {
		Name       string `q:"LifecycleHookName,required"`
		Transition string `q:"LifecycleTransition,required"`
		Heartbeat  *int   `q:"HeartbeatTimeout"`
		Result     string `q:"DefaultResult"`
		Metadata   string `q:"NotificationMetadata"`
		Target     string `q:"NotificationTargetARN"`
		Role       string `q:"RoleARN"`
	}
	describeHooksInput struct {
		Group string   `q:"AutoScalingGroupName,required"`
		Names []string `q:"LifecycleHookNames"`
	}
	describeHooksOutput struct {
		Hooks members[hookFields] `xml:"LifecycleHooks"`
	}
)

func (in *hookFields) target(c *call) target { return c.ofGroup(in.Group) }

func putLifecycleHook(c *call, in *hookFields) (*struct{}, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	g.hooks = slices.DeleteFunc(g.hooks, func(h hookFields) bool { return h.Name == in.Name })
	g.hooks = append(g.hooks, *in)
	return &struct{}{}, nil
}

func describeLifecycleHooks(c *call, in *describeHooksInput) (*describeHooksOutput, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	out := &describeHooksOutput{}
	for _, h := range g.hooks {
		if len(in.Names) == 0 || slices.Contains(in.Names, h.Name) {
			out.Hooks.List = append(out.Hooks.List, h)
		}
	}
	return out, nil
}

type (
	createTagsOfGroupInput struct {
		Tags []groupTag `q:",required"`
	}
	describeTagsOfGroupsInput struct {
		Filters    []filterOfGroups
		NextToken  string
		MaxRecords *int
	}
	describeTagsOfGroupsOutput struct {
		Tags      members[groupTag] `xml:"Tags"`
		NextToken string            `xml:"NextToken,omitempty"`
	}
)

func createOrUpdateTags(c *call, in *createTagsOfGroupInput) (*none, error) {
	for _, t := range in.Tags {
		if _, err := c.group(t.ResourceID); err != nil {
			return nil, err
		}
	}
	for _, t := range in.Tags {
		c.groups[t.ResourceID].setTag(t)
	}
	return &none{}, nil
}

// setTag sets one tag of a group.
func (g *group) setTag(t groupTag) {
	t.ResourceID, t.ResourceType = g.name, resourceGroup
	g.tags = slices.DeleteFunc(g.tags, func(old groupTag) bool { return old.Key == t.Key })
	g.tags = append(g.tags, t)
	slices.SortFunc(g.tags, func(a, b groupTag) int { return compare(a.Key, b.Key) })
}

func describeTagsOfGroups(c *call, in *describeTagsOfGroupsInput) (*describeTagsOfGroupsOutput, error) {
	all := map[string]groupTag{}
	for _, g := range c.all {
		for _, t := range g.tags {
			fits := true
			for _, f := range in.Filters {
				have, known := map[string]string{"auto-scaling-group": g.name, "key": t.Key, "value": t.Value}[f.Name]
				if !known {
					return nil, invalid("Filter type %s is not correct.", f.Name)
				}
				fits = fits && slices.Contains(f.Values, have)
			}
			if fits {
				all[g.name+"/"+t.Key] = t
			}
		}
	}
	list, next, err := page(all, nil, in.NextToken, in.MaxRecords, c.limits(50, 1, 100))
	return &describeTagsOfGroupsOutput{members[groupTag]{list}, next}, err
}
