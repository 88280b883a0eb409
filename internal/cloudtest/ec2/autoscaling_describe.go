package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const resourceGroup = "auto-scaling-group"

type (
	describeGroupsInput struct {
		Names      []string `q:"AutoScalingGroupNames"`
		NextToken  string
		MaxRecords *int
		Filters    []filterOfGroups
	}
	filterOfGroups struct {
		Name   string
		Values []string
	}
	describeGroupsOutput struct {
		Groups    members[groupXML] `xml:"AutoScalingGroups"`
		NextToken string            `xml:"NextToken,omitempty"`
	}
	groupXML struct {
		Name                string                `xml:"AutoScalingGroupName"`
		ARN                 string                `xml:"AutoScalingGroupARN"`
		LaunchTemplate      *templateSpec         `xml:"LaunchTemplate"`
		Mixed               *mixedPolicy          `xml:"MixedInstancesPolicy"`
		MinSize             int                   `xml:"MinSize"`
		MaxSize             int                   `xml:"MaxSize"`
		Desired             int                   `xml:"DesiredCapacity"`
		Cooldown            int                   `xml:"DefaultCooldown"`
		Zones               members[string]       `xml:"AvailabilityZones"`
		LoadBalancers       members[string]       `xml:"LoadBalancerNames"`
		TargetGroups        members[string]       `xml:"TargetGroupARNs"`
		HealthCheckType     string                `xml:"HealthCheckType"`
		Grace               int                   `xml:"HealthCheckGracePeriod"`
		Instances           members[memberXML]    `xml:"Instances"`
		Created             string                `xml:"CreatedTime"`
		Suspended           members[suspendedXML] `xml:"SuspendedProcesses"`
		Subnets             string                `xml:"VPCZoneIdentifier"`
		Metrics             members[none]         `xml:"EnabledMetrics"`
		Status              string                `xml:"Status,omitempty"`
		Tags                members[groupTag]     `xml:"Tags"`
		TerminationPolicies members[string]       `xml:"TerminationPolicies"`
		ProtectNew          bool                  `xml:"NewInstancesProtectedFromScaleIn"`
		Role                string                `xml:"ServiceLinkedRoleARN"`
		MaxLifetime         int                   `xml:"MaxInstanceLifetime,omitempty"`
		Rebalance           *bool                 `xml:"CapacityRebalance"`
		WarmPool            *warmPool             `xml:"WarmPoolConfiguration"`
		WarmPoolSize        *int                  `xml:"WarmPoolSize"`
		TrafficSources      members[none]         `xml:"TrafficSources"`
	}
	memberXML struct {
		ID        string        `xml:"InstanceId"`
		Type      string        `xml:"InstanceType"`
		Zone      string        `xml:"AvailabilityZone"`
		Lifecycle string        `xml:"LifecycleState"`
		Health    string        `xml:"HealthStatus"`
		Template  *templateSpec `xml:"LaunchTemplate"`
		Protected bool          `xml:"ProtectedFromScaleIn"`
	}
	suspendedXML struct {
		Name   string `xml:"ProcessName"`
		Reason string `xml:"SuspensionReason"`
	}
	groupTag struct {
		ResourceID        string `q:"ResourceId" xml:"ResourceId"`
		ResourceType      string `xml:"ResourceType"`
		Key               string `q:",required" xml:"Key"`
		Value             string `xml:"Value"`
		PropagateAtLaunch bool   `xml:"PropagateAtLaunch"`
	}
)

func describeAutoScalingGroups(c *call, in *describeGroupsInput) (*describeGroupsOutput, error) {
	list, next, err := page(c.groups, in.Names, in.NextToken, in.MaxRecords, c.limits(50, 1, 100))
	if err != nil {
		return nil, err
	}
	out := &describeGroupsOutput{NextToken: next}
	for _, g := range list {
		fits, err := g.fits(in.Filters)
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		answer, err := c.groupAnswer(g)
		if err != nil {
			return nil, err
		}
		out.Groups.List = append(out.Groups.List, answer)
	}
	return out, nil
}

func (g *group) fits(filters []filterOfGroups) (bool, error) {
	fits := true
	for _, f := range filters {
		var tags []tag
		for _, t := range g.tags {
			tags = append(tags, tag{t.Key, t.Value})
		}
		have, known := tagAttributes(tags, f.Name)
		if !known {
			return false, invalid("Filter type %s is not correct. Allowed filter types are: tag-key, tag-value, tag:<key>", f.Name)
		}
		fits = fits && slices.ContainsFunc(have, func(v string) bool { return slices.Contains(f.Values, v) })
	}
	return fits, nil
}

func (c *call) groupAnswer(g *group) (groupXML, error) {
	views, err := c.views(g)
	if err != nil {
		return groupXML{}, err
	}
	x := groupXML{
		Name: g.name, ARN: g.arn, LaunchTemplate: g.template, Mixed: g.mixed, MinSize: g.cfg.Min, MaxSize: g.cfg.Max, Desired: g.desired,
		Cooldown: g.cooldown, HealthCheckType: g.healthType, Grace: g.grace, Created: stamp(c.at(g.created)), ProtectNew: g.cfg.ProtectNew,
		Role:        "arn:aws:iam::" + c.cfg.Account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		MaxLifetime: g.lifetime, WarmPool: g.warmPool, TerminationPolicies: members[string]{[]string{"Default"}},
	}
	if g.cfg.CapacityRebalance {
		x.Rebalance = &g.cfg.CapacityRebalance
	}
	if g.warmPool != nil {
		x.WarmPoolSize = new(int)
	}
	if g.deleting {
		x.Status = "Delete in progress"
	}
	var subnets []string
	for _, net := range g.subnets() {
		x.Zones.List = append(x.Zones.List, net.zone)
		subnets = append(subnets, net.id)
	}
	x.Subnets = strings.Join(subnets, ",")
	for _, name := range g.suspended {
		x.Suspended.List = append(x.Suspended.List, suspendedXML{name, "User suspended at " + seconds(c.at(g.created))})
	}
	x.Tags.List = g.tags
	for _, in := range g.launched {
		if v := views[in]; v.member && !v.hidden {
			x.Instances.List = append(x.Instances.List, in.memberAnswer(v))
		}
	}
	return x, nil
}

func (in *instance) memberAnswer(v view) memberXML {
	t := in.template
	return memberXML{
		ID: in.id, Type: in.kind, Zone: in.subnet.zone, Lifecycle: v.lifecycle, Health: in.health, Protected: in.protected,
		Template: &templateSpec{t.of.id, t.of.name, strconv.Itoa(t.number)},
	}
}

// subnets are those in which the group makes instances.
func (g *group) subnets() []subnet {
	if len(g.zones) == 0 {
		return g.server.network.subnets
	}
	var list []subnet
	for _, z := range g.zones {
		list = append(list, g.server.network.subnets[z])
	}
	return list
}

// launchTags are the tags of the group that its instances get too.
func (g *group) launchTags() []tag {
	var list []tag
	for _, t := range g.tags {
		if t.PropagateAtLaunch {
			list = append(list, tag{t.Key, t.Value})
		}
	}
	return list
}

type (
	describeInstancesOfGroupsInput struct {
		InstanceIDs []string `q:"InstanceIds"`
		NextToken   string
		MaxRecords  *int
	}
	describeInstancesOfGroupsOutput struct {
		Instances members[memberOfGroupXML] `xml:"AutoScalingInstances"`
		NextToken string                    `xml:"NextToken,omitempty"`
	}
	memberOfGroupXML struct {
		memberXML

		Group string `xml:"AutoScalingGroupName"`
	}
)

func describeAutoScalingInstances(c *call, in *describeInstancesOfGroupsInput) (*describeInstancesOfGroupsOutput, error) {
	all, views, err := c.allViews()
	if err != nil {
		return nil, err
	}
	for id, i := range all {
		if !views[i].member {
			delete(all, id)
		}
	}
	list, next, err := page(all, in.InstanceIDs, in.NextToken, in.MaxRecords, c.limits(50, 1, 50))
	if err != nil {
		return nil, err
	}
	out := &describeInstancesOfGroupsOutput{NextToken: next}
	for _, i := range list {
		answer := i.memberAnswer(views[i])
		answer.Health = strings.ToUpper(answer.Health)
		out.Instances.List = append(out.Instances.List, memberOfGroupXML{answer, i.group.name})
	}
	return out, nil
}

type (
	describeActivitiesInput struct {
		ActivityIDs    []string `q:"ActivityIds"`
		Group          string   `q:"AutoScalingGroupName"`
		IncludeDeleted bool     `q:"IncludeDeletedGroups"`
		MaxRecords     *int
		NextToken      string
	}
	describeActivitiesOutput struct {
		Activities members[activityXML] `xml:"Activities"`
		NextToken  string               `xml:"NextToken,omitempty"`
	}
	activityXML struct {
		ID          string `xml:"ActivityId"`
		Group       string `xml:"AutoScalingGroupName"`
		Description string `xml:"Description"`
		Cause       string `xml:"Cause"`
		Start       string `xml:"StartTime"`
		End         string `xml:"EndTime,omitempty"`
		Status      string `xml:"StatusCode"`
		Message     string `xml:"StatusMessage,omitempty"`
		Progress    int    `xml:"Progress"`
		Details     string `xml:"Details"`
		ARN         string `xml:"AutoScalingGroupARN"`
	}
)

// activityMemory is how long scaling activities are told.
const activityMemory = 6 * 7 * 24 * time.Hour

func describeScalingActivities(c *call, in *describeActivitiesInput) (*describeActivitiesOutput, error) {
	if in.Group != "" && c.groups[in.Group] == nil && !in.IncludeDeleted {
		return nil, noGroup(in.Group)
	}
	var all []*activity
	for _, g := range c.all {
		if in.Group != "" && g.name != in.Group {
			continue
		}
		for _, a := range slices.Backward(g.activities) {
			if (len(in.ActivityIDs) == 0 || slices.Contains(in.ActivityIDs, a.id)) && c.now().Sub(a.start) < activityMemory {
				all = append(all, a)
			}
		}
	}
	// Newest first. The page's key counts down from the oldest, so that a new activity moves no page.
	byAge := make(map[string]*activity, len(all))
	for i, a := range all {
		byAge[strconv.Itoa(1e9+i-len(all))] = a
	}
	list, next, err := page(byAge, nil, in.NextToken, in.MaxRecords, c.limits(100, 1, 100))
	if err != nil {
		return nil, err
	}
	out := &describeActivitiesOutput{NextToken: next}
	for _, a := range list {
		out.Activities.List = append(out.Activities.List, a.answer())
	}
	return out, nil
}

func (a *activity) answer() activityXML {
	x := activityXML{
		ID: a.id, Group: a.group.name, Description: a.description, Cause: a.cause, Start: stamp(a.start), Status: a.status, Message: a.message,
		Progress: a.progress, Details: a.details, ARN: a.group.arn,
	}
	if !a.end.IsZero() {
		x.End = stamp(a.end)
	}
	return x
}
