package aws

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// TestLaunchFailure: the texts are those that users of AWS report.
func TestLaunchFailure(t *testing.T) {
	for text, want := range map[string]struct {
		kind   provider.FailureKind
		remedy string
	}{
		"We currently do not have sufficient p3.2xlarge capacity in the Availability Zone you requested (us-east-1a). Our system will be working on provisioning additional capacity.": {provider.KindCapacity, "allow more"},
		"Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient c5.large capacity in zones with support for 'gp2' volumes.":          {provider.KindCapacity, "allow more"},
		"There is no Spot capacity available that matches your request.": {provider.KindCapacity, "allow more"},
		"Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.": {provider.KindCapacity, "allow more"},
		"Max spot instance count exceeded.": {provider.KindQuota, "Spot Instance requests"},
		"Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.": {provider.KindQuota, "vCPU quota"},
		"Your quota allows for 0 more running instance(s). You requested at least 1.":                                                                                               {provider.KindQuota, "Service Quotas"},
		"There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances.":                                                                    {provider.KindQuota, "subnets"},
		"The image id '[ami-0123]' does not exist.":                                                                                                                                 {provider.KindConfig, "image in the launch template"},
		"Could not launch Spot Instances. InvalidFleetConfiguration - Your requested instance type (p3.8xlarge) is not supported in your requested Availability Zone (us-east-2c).": {provider.KindConfig, "launch template"},
		"The key pair 'ci' does not exist.": {provider.KindConfig, "launch template"},
		"You are not authorized to perform this operation. Encoded authorization failure message: AAAA":                                                   {provider.KindConfig, "service-linked role"},
		"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch": {provider.KindConfig, "service-linked role"},
		"Request limit exceeded. RequestLimitExceeded":             {provider.KindThrottled, ""},
		"Something dynamic of another family that nobody has seen": {provider.KindCapacity, ""},
	} {
		got := launchFailure(types.Activity{StatusMessage: aws.String(text + " Launching EC2 instance failed.")})
		said := got.Error()
		if provider.KindOf(got) != want.kind || !strings.Contains(said, want.remedy) || strings.Contains(said, "AAAA") || strings.Contains(said, "Launching EC2") {
			t.Errorf("%s\nbecame %s\n", text, said)
		}
		if (want.remedy == "") != !strings.HasSuffix(said, ")") {
			t.Errorf("%s has another remedy than %q", said, want.remedy)
		}
	}
	if got := launchFailure(types.Activity{}).Error(); !strings.Contains(got, "gave no reason") {
		t.Error(got)
	}
}

// TestVerdict: the latest launch is first. One that still runs may succeed, wherever it stands.
func TestVerdict(t *testing.T) {
	of := func(codes ...types.ScalingActivityStatusCode) (list []types.Activity) {
		for _, c := range codes {
			list = append(list, types.Activity{StatusCode: c, StatusMessage: aws.String("no machine")})
		}
		return list
	}
	const (
		failed, ok, runs = types.ScalingActivityStatusCodeFailed, types.ScalingActivityStatusCodeSuccessful, types.ScalingActivityStatusCodeInProgress
		waits            = types.ScalingActivityStatusCodeWaitingForSpotInstanceId
		cancelled        = types.ScalingActivityStatusCodeCancelled
	)
	for _, c := range []struct {
		list []types.Activity
		bad  bool
	}{
		{nil, false}, {of(ok), false}, {of(runs), false}, {of(failed), true}, {of(cancelled), true}, {of(ok, failed), false}, {of(failed, ok), true}, {of(failed, failed, runs), false},
		{of(failed, waits), false}, {of(runs, failed), false}, {of(failed, ok, failed), true},
	} {
		if got := verdict(c.list); (got != nil) != c.bad {
			t.Errorf("%v: %v", c.list, got)
		}
	}
}
