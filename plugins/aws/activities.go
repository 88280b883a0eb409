package aws

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	maxActivities = 50               // of the latest ones that are read
	oldFailure    = 10 * time.Minute // a failure before it says nothing about now, if it is not known since when to look
)

// launches returns the launches that the activities of the group show since the given time, the latest first. Zero since: the last ten minutes.
func (g *InstanceGroup) launches(ctx context.Context, since time.Time) ([]types.Activity, error) {
	if since.IsZero() {
		since = g.now().Add(-oldFailure)
	}
	out, err := g.api.scaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String(g.Name), MaxRecords: aws.Int32(maxActivities),
	})
	if err != nil {
		return nil, classify(err)
	}
	return slices.DeleteFunc(out.Activities, func(a types.Activity) bool {
		return !isLaunch(&a) || aws.ToTime(a.StartTime).Before(since.Add(-skew))
	}), nil
}

// verdict returns why the group cannot launch instances, if its latest launch failed and none is under way. nil: it can, or nothing is known yet.
func verdict(list []types.Activity) error {
	var failed *types.Activity
	for n := range list {
		switch a := &list[n]; {
		case !ended(a): // whatever failed before it, this one may succeed
			return nil
		case failed != nil:
		case a.StatusCode == types.ScalingActivityStatusCodeSuccessful:
			return nil
		default:
			failed = a
		}
	}
	if failed == nil {
		return nil
	}
	return launchFailure(*failed)
}

// isLaunch reports whether an activity is the launch of an instance.
func isLaunch(a *types.Activity) bool {
	text := aws.ToString(a.Description)
	return strings.HasPrefix(text, "Launching") || strings.HasPrefix(text, "Placing Spot")
}

// ended reports whether an activity is over.
func ended(a *types.Activity) bool {
	switch a.StatusCode {
	case types.ScalingActivityStatusCodeSuccessful, types.ScalingActivityStatusCodeFailed, types.ScalingActivityStatusCodeCancelled:
		return true
	}
	return false
}

// reasons are the kinds of failed launches, by a part of the text that AWS gives them. The first that fits counts.
var reasons = []struct {
	part   *regexp.Regexp
	kind   provider.FailureKind
	remedy string
}{
	{regexp.MustCompile(`(?i)throttl|RequestLimitExceeded|rate exceeded`), provider.KindThrottled, ""},
	{regexp.MustCompile(`(?i)free addresses|InsufficientFreeAddressesInSubnet`), provider.KindQuota, "give the group more or larger subnets"},
	{regexp.MustCompile(`(?i)vcpu limit|VcpuLimitExceeded|vCPU capacity`), provider.KindQuota, "raise the vCPU quota of the account (Service Quotas, Amazon EC2)"},
	{regexp.MustCompile(`(?i)spot instance count|MaxSpotInstanceCountExceeded`), provider.KindQuota, "raise the quota of Spot Instance requests (Service Quotas, Amazon EC2)"},
	{regexp.MustCompile(`(?i)InstanceLimitExceeded|quota allows|LimitExceeded|limit of|exceed(s|ed) your`), provider.KindQuota, "raise the quota of the account (Service Quotas)"},
	{regexp.MustCompile(`(?i)InsufficientInstanceCapacity|sufficient .*capacity|no spot capacity|UnfulfillableCapacity|InsufficientHostCapacity|capacity-not-available|capacity is not available|price-too-low|price.{0,20} too low|CapacityReservation`),
		provider.KindCapacity, "allow more instance types or zones"},
	{regexp.MustCompile(`(?i)not authorized|UnauthorizedOperation|AccessDenied|access denied|InvalidKMSKey|\bKMS\b|Client\.InternalError|Client error on launch`), provider.KindConfig,
		"the service-linked role of Auto Scaling, or the key that encrypts the disks, lacks a permission"},
	{regexp.MustCompile(`(?i)image id|\bAMIs?\b|InvalidAMI|\bami-`), provider.KindConfig, "correct the image in the launch template"},
	{regexp.MustCompile(`(?i)does not exist|not found|not supported|not valid|invalid|launch template|launch configuration|must be|cannot be|parameter`), provider.KindConfig,
		"correct the launch template, and set its new version in the group"},
}

// launchFailure turns a failed launch into an error with a kind. A text that is not known counts as a machine that AWS cannot give now.
func launchFailure(a types.Activity) error {
	text := strings.TrimSuffix(plain(aws.ToString(a.StatusMessage)), " Launching EC2 instance failed.")
	text = strings.TrimSuffix(text, " Placing Spot instance request failed.")
	if text == "" {
		text = "AWS gave no reason"
	}
	kind, remedy := provider.KindCapacity, ""
	for _, r := range reasons {
		if r.part.MatchString(text) {
			kind, remedy = r.kind, r.remedy
			break
		}
	}
	if remedy != "" {
		remedy = fmt.Sprintf(" (%s)", remedy)
	}
	return provider.Errorf(kind, "the Auto Scaling group cannot launch instances: %s%s", text, remedy)
}
