package aws

import (
	"encoding/json"
	"strings"
)

// Permission is an IAM action that this package needs.
type Permission struct {
	Action  string // as in a policy, such as "ec2:DescribeInstances"
	Why     string // what it is for
	Without string // what is lost without it; "": nothing works
	on      scope
}

// scope is what a permission can be restricted to.
type scope int

const (
	onAll       scope = iota // AWS knows no restriction: what describes
	onGroup                  // the Auto Scaling group
	onInstances              // its instances, which carry the tag that Auto Scaling sets
)

// Permissions returns the actions that this package calls, all of them and no other. With role_arn, the credentials that are found need sts:AssumeRole on
// that role, and these are the permissions of the role.
func Permissions() []Permission {
	const noWarning = "no warning at the start"
	return []Permission{
		{"autoscaling:DescribeAutoScalingGroups", "lists the group and its instances", "", onAll},
		{"autoscaling:DescribeScalingActivities", "says why machines do not come", "a create that fails is noticed late, and nobody learns why", onAll},
		{"autoscaling:DescribePolicies", "warns about scaling policies", noWarning, onAll},
		{"autoscaling:DescribeScheduledActions", "warns about scheduled actions", noWarning, onAll},
		{"autoscaling:DescribeInstanceRefreshes", "warns about an instance refresh", noWarning, onAll},
		{"ec2:DescribeInstances", "finds addresses, systems and Spot Instances", "", onAll},
		{"ec2:DescribeInstanceStatus", "is the heartbeat", "heartbeats say nothing: set no_status_checks", onAll},
		{"ec2:DescribeSpotInstanceRequests", "sees two minutes ahead that AWS takes a Spot Instance away", "jobs on Spot Instances learn it when the instance ends; groups on demand need it not", onAll},
		{"ec2:DescribeLaunchTemplateVersions", "finds the image, to check at the start whether Windows has a key", "the check is made at the first machine", onAll},
		{"ec2:DescribeImages", "finds the system of an image", "as above", onAll},
		{"autoscaling:SetDesiredCapacity", "creates machines", "", onGroup},
		{"autoscaling:TerminateInstanceInAutoScalingGroup", "removes machines", "", onGroup},
		{"ec2-instance-connect:SendSSHPublicKey", "logs in to Linux", "set use_static_credentials or a password", onInstances},
		{"ec2:GetPasswordData", "logs in to Windows", "groups of Linux need it not", onInstances},
	}
}

// document is an IAM policy document.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// Policy returns the least-privilege policy document for one group, in JSON. AWS takes no restriction for what describes. The rest is allowed for this group
// and its instances only.
func Policy(region, account, group string) string {
	arn := "arn:" + partition(region) + ":"
	p := document{Version: "2012-10-17", Statement: []statement{
		{Sid: "See", Effect: "Allow", Action: actions(onAll), Resource: "*"},
		{Sid: "Resize", Effect: "Allow", Action: actions(onGroup), Resource: arn + "autoscaling:" + region + ":" + account + ":autoScalingGroup:*:autoScalingGroupName/" + group},
		{
			Sid: "LogIn", Effect: "Allow", Action: actions(onInstances), Resource: arn + "ec2:" + region + ":" + account + ":instance/*",
			Condition: map[string]map[string]string{"StringEquals": {"aws:ResourceTag/" + groupTag: group}},
		},
	}}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		panic(err) // texts only
	}
	return string(text) + "\n"
}

func actions(on scope) (list []string) {
	for _, p := range Permissions() {
		if p.on == on {
			list = append(list, p.Action)
		}
	}
	return list
}

// partition returns the part of AWS that a region is in, as ARNs name it.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "eusc-"):
		return "aws-eusc"
	}
	return "aws"
}
