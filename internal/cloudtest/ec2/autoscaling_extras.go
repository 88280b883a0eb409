package ec2

import (
	"slices"
	"strconv"
)

// What this file stores is described, and does nothing: a client warns about it.

type (
	policyFields struct {
		Group          string          `q:"AutoScalingGroupName,required" xml:"AutoScalingGroupName"`
		Name           string          `q:"PolicyName,required" xml:"PolicyName"`
		Type           string          `q:"PolicyType" xml:"PolicyType"`
		AdjustmentType string          `xml:"AdjustmentType,omitempty"`
		MinMagnitude   *int            `q:"MinAdjustmentMagnitude" xml:"MinAdjustmentMagnitude"`
		Adjustment     *int            `q:"ScalingAdjustment" xml:"ScalingAdjustment"`
		Cooldown       *int            `xml:"Cooldown"`
		Steps          members[step]   `q:"StepAdjustments" xml:"StepAdjustments"`
		Aggregation    string          `q:"MetricAggregationType" xml:"MetricAggregationType,omitempty"`
		Warmup         *int            `q:"EstimatedInstanceWarmup" xml:"EstimatedInstanceWarmup"`
		TargetTracking *targetTracking `q:"TargetTrackingConfiguration" xml:"TargetTrackingConfiguration"`
		Enabled        *bool           `xml:"Enabled"`
	}
	step struct {
		Lower      string `q:"MetricIntervalLowerBound" xml:"MetricIntervalLowerBound,omitempty"`
		Upper      string `q:"MetricIntervalUpperBound" xml:"MetricIntervalUpperBound,omitempty"`
		Adjustment int    `q:"ScalingAdjustment,required" xml:"ScalingAdjustment"`
	}
	targetTracking struct {
		Predefined     *predefinedMetric `q:"PredefinedMetricSpecification" xml:"PredefinedMetricSpecification"`
		TargetValue    string            `q:",required" xml:"TargetValue"`
		DisableScaleIn *bool             `xml:"DisableScaleIn"`
	}
	predefinedMetric struct {
		Type  string `q:"PredefinedMetricType,required" xml:"PredefinedMetricType"`
		Label string `q:"ResourceLabel" xml:"ResourceLabel,omitempty"`
	}
	scalingPolicy struct {
		policyFields

		ARN    string        `xml:"PolicyARN"`
		Alarms members[none] `xml:"Alarms"`
	}
	putScalingPolicyOutput struct {
		ARN    string        `xml:"PolicyARN"`
		Alarms members[none] `xml:"Alarms"`
	}
	describePoliciesInput struct {
		Group      string   `q:"AutoScalingGroupName"`
		Names      []string `q:"PolicyNames"`
		Types      []string `q:"PolicyTypes"`
		NextToken  string
		MaxRecords *int
	}
	describePoliciesOutput struct {
		Policies  members[scalingPolicy] `xml:"ScalingPolicies"`
		NextToken string                 `xml:"NextToken,omitempty"`
	}
	deletePolicyInput struct {
		Group string `q:"AutoScalingGroupName"`
		Name  string `q:"PolicyName,required"`
	}
)

func (in *policyFields) target(c *call) target      { return c.ofGroup(in.Group) }
func (in *deletePolicyInput) target(c *call) target { return c.ofGroup(in.Group) }

func putScalingPolicy(c *call, in *policyFields) (*putScalingPolicyOutput, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	setDefault(&in.Type, "SimpleScaling")
	if in.Enabled == nil {
		on := true
		in.Enabled = &on
	}
	p := scalingPolicy{policyFields: *in}
	p.ARN = "arn:aws:autoscaling:" + c.cfg.Region + ":" + c.cfg.Account + ":scalingPolicy:" + requestID() + ":autoScalingGroupName/" + g.name + ":policyName/" + in.Name
	g.policies = slices.DeleteFunc(g.policies, func(old scalingPolicy) bool { return old.Name == in.Name })
	g.policies = append(g.policies, p)
	return &putScalingPolicyOutput{ARN: p.ARN}, nil
}

func describePolicies(c *call, in *describePoliciesInput) (*describePoliciesOutput, error) {
	all := map[string]scalingPolicy{}
	for _, g := range c.all {
		if in.Group != "" && g.name != in.Group {
			continue
		}
		for _, p := range g.policies {
			if (len(in.Names) == 0 || slices.Contains(in.Names, p.Name)) && (len(in.Types) == 0 || slices.Contains(in.Types, p.Type)) {
				all[g.name+"/"+p.Name] = p
			}
		}
	}
	if in.Group != "" && c.groups[in.Group] == nil {
		return nil, noGroup(in.Group)
	}
	list, next, err := page(all, nil, in.NextToken, in.MaxRecords, c.limits(50, 1, 100))
	return &describePoliciesOutput{members[scalingPolicy]{list}, next}, err
}

func deletePolicy(c *call, in *deletePolicyInput) (*none, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	g.policies = slices.DeleteFunc(g.policies, func(p scalingPolicy) bool { return p.Name == in.Name || p.ARN == in.Name })
	return &none{}, nil
}

type (
	scheduledFields struct {
		Group      string `q:"AutoScalingGroupName,required" xml:"AutoScalingGroupName"`
		Name       string `q:"ScheduledActionName,required" xml:"ScheduledActionName"`
		StartTime  string `xml:"StartTime,omitempty"`
		EndTime    string `xml:"EndTime,omitempty"`
		Recurrence string `xml:"Recurrence,omitempty"`
		MinSize    *int   `xml:"MinSize"`
		MaxSize    *int   `xml:"MaxSize"`
		Desired    *int   `q:"DesiredCapacity" xml:"DesiredCapacity"`
		TimeZone   string `xml:"TimeZone,omitempty"`
	}
	scheduledAction struct {
		scheduledFields

		ARN string `xml:"ScheduledActionARN"`
	}
	describeScheduledInput struct {
		Group      string   `q:"AutoScalingGroupName"`
		Names      []string `q:"ScheduledActionNames"`
		NextToken  string
		MaxRecords *int
	}
	describeScheduledOutput struct {
		Actions   members[scheduledAction] `xml:"ScheduledUpdateGroupActions"`
		NextToken string                   `xml:"NextToken,omitempty"`
	}
)

func (in *scheduledFields) target(c *call) target { return c.ofGroup(in.Group) }

func putScheduledUpdateGroupAction(c *call, in *scheduledFields) (*none, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	g.scheduled = slices.DeleteFunc(g.scheduled, func(old scheduledAction) bool { return old.Name == in.Name })
	g.scheduled = append(g.scheduled, scheduledAction{
		*in, "arn:aws:autoscaling:" + c.cfg.Region + ":" + c.cfg.Account + ":scheduledUpdateGroupAction:" + requestID() + ":autoScalingGroupName/" + g.name +
			":scheduledActionName/" + in.Name,
	})
	return &none{}, nil
}

func describeScheduledActions(c *call, in *describeScheduledInput) (*describeScheduledOutput, error) {
	all := map[string]scheduledAction{}
	for _, g := range c.all {
		for _, a := range g.scheduled {
			if (in.Group == "" || in.Group == g.name) && (len(in.Names) == 0 || slices.Contains(in.Names, a.Name)) {
				all[g.name+"/"+a.Name] = a
			}
		}
	}
	list, next, err := page(all, nil, in.NextToken, in.MaxRecords, c.limits(50, 1, 100))
	return &describeScheduledOutput{members[scheduledAction]{list}, next}, err
}

type (
	startRefreshInput struct {
		Group       string              `q:"AutoScalingGroupName,required"`
		Strategy    string              `q:"Strategy"`
		Preferences *refreshPreferences `q:"Preferences"`
	}
	refreshPreferences struct {
		MinHealthyPercentage *int  `xml:"MinHealthyPercentage"`
		InstanceWarmup       *int  `xml:"InstanceWarmup"`
		CheckpointDelay      *int  `xml:"CheckpointDelay"`
		SkipMatching         *bool `xml:"SkipMatching"`
	}
	startRefreshOutput struct {
		ID string `xml:"InstanceRefreshId"`
	}
	instanceRefresh struct {
		ID          string              `xml:"InstanceRefreshId"`
		Group       string              `xml:"AutoScalingGroupName"`
		Status      string              `xml:"Status"`
		Start       string              `xml:"StartTime"`
		Percentage  int                 `xml:"PercentageComplete"`
		ToUpdate    int                 `xml:"InstancesToUpdate"`
		Preferences *refreshPreferences `xml:"Preferences"`
	}
	describeRefreshesInput struct {
		Group      string   `q:"AutoScalingGroupName,required"`
		IDs        []string `q:"InstanceRefreshIds"`
		NextToken  string
		MaxRecords *int
	}
	describeRefreshesOutput struct {
		Refreshes members[instanceRefresh] `xml:"InstanceRefreshes"`
		NextToken string                   `xml:"NextToken,omitempty"`
	}
	cancelRefreshInput struct {
		Group string `q:"AutoScalingGroupName,required"`
	}
)

func (in *startRefreshInput) target(c *call) target  { return c.ofGroup(in.Group) }
func (in *cancelRefreshInput) target(c *call) target { return c.ofGroup(in.Group) }

// underWay returns the refresh that is under way, or nil.
func (g *group) underWay() *instanceRefresh {
	if n := len(g.refreshes); n > 0 && g.refreshes[n-1].Status == "InProgress" {
		return g.refreshes[n-1]
	}
	return nil
}

func startInstanceRefresh(c *call, in *startRefreshInput) (*startRefreshOutput, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	if g.underWay() != nil {
		return nil, refuse("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	r := &instanceRefresh{ID: requestID(), Group: g.name, Status: "InProgress", Start: stamp(c.now()), ToUpdate: len(g.active()), Preferences: in.Preferences}
	g.refreshes = append(g.refreshes, r)
	return &startRefreshOutput{r.ID}, nil
}

func describeInstanceRefreshes(c *call, in *describeRefreshesInput) (*describeRefreshesOutput, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	all := map[string]instanceRefresh{}
	for i, r := range slices.Backward(g.refreshes) { // the newest first
		if len(in.IDs) == 0 || slices.Contains(in.IDs, r.ID) {
			all[strconv.Itoa(1e9-i)] = *r
		}
	}
	list, next, err := page(all, nil, in.NextToken, in.MaxRecords, c.limits(50, 1, 100))
	return &describeRefreshesOutput{members[instanceRefresh]{list}, next}, err
}

func cancelInstanceRefresh(c *call, in *cancelRefreshInput) (*startRefreshOutput, error) {
	g, err := c.group(in.Group)
	if err != nil {
		return nil, err
	}
	r := g.underWay()
	if r == nil {
		return nil, refuse("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", g.name)
	}
	r.Status = "Cancelled"
	return &startRefreshOutput{r.ID}, nil
}
