package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// refused is an error of the SDK as its clients return it.
func refused(service, operation, code, message string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: fmt.Errorf("https response error StatusCode: 400, RequestID: 1, %w",
		&smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient})}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind provider.FailureKind
		text string
	}{
		{nil, failure.None, "<nil>"},
		{
			refused("Auto Scaling", "SetDesiredCapacity", "AccessDenied", "User: arn:aws:iam::1:user/ci is not authorized to perform: autoscaling:SetDesiredCapacity"), provider.KindConfig,
			"config: the permission autoscaling:SetDesiredCapacity is missing: add it to the policy of the role or user (AccessDenied: User: arn:aws:iam::1:user/ci is not authorized to perform: autoscaling:SetDesiredCapacity)",
		},
		{
			refused("EC2", "DescribeInstances", "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: AAAABBBB"), provider.KindConfig,
			"config: the permission ec2:DescribeInstances is missing: add it to the policy of the role or user (UnauthorizedOperation: You are not authorized to perform this operation.)",
		},
		{
			refused("EC2", "DescribeInstances", "RequestLimitExceeded", "Request limit exceeded."), provider.KindThrottled,
			"throttled: ec2:DescribeInstances was refused: RequestLimitExceeded: Request limit exceeded.",
		},
		{
			refused("Auto Scaling", "TerminateInstanceInAutoScalingGroup", "ValidationError", "Instance Id not found - No managed instance found for instance ID: i-1"), provider.KindNotFound,
			"not_found: autoscaling:TerminateInstanceInAutoScalingGroup was refused: ValidationError: Instance Id not found - No managed instance found for instance ID: i-1",
		},
		{
			refused("Auto Scaling", "DescribeAutoScalingGroups", "ExpiredToken", "The security token included in the request is expired"), provider.KindConfig,
			"config: autoscaling:DescribeAutoScalingGroups was refused: the session token has expired: renew it in the profile or the environment (ExpiredToken: The security token included in the request is expired)",
		},
		{refused("EC2 Instance Connect", "SendSSHPublicKey", "ThrottlingException", ""), provider.KindThrottled, "throttled: ec2-instance-connect:SendSSHPublicKey was refused: ThrottlingException"},
		{refused("Auto Scaling", "SetDesiredCapacity", "ScalingActivityInProgress", "x"), provider.KindTransient, "transient: autoscaling:SetDesiredCapacity was refused: ScalingActivityInProgress: x"},
		{refused("Auto Scaling", "SetDesiredCapacity", "ValidationError", "New SetDesiredCapacity value 9 is above max value 5"), provider.KindConfig, "config: autoscaling:SetDesiredCapacity was refused: ValidationError: New SetDesiredCapacity value 9 is above max value 5"},
		{refused("EC2", "DescribeInstances", "InternalError", "An internal error has occurred"), provider.KindTransient, "transient: ec2:DescribeInstances was refused: InternalError: An internal error has occurred"},
		{&smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeInstances", Err: errors.New("connection reset")}, provider.KindTransient, "transient: ec2:DescribeInstances: connection reset"},
		{&smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeInstances", Err: context.DeadlineExceeded}, provider.KindTransient, "transient: ec2:DescribeInstances: context deadline exceeded"},
		{&smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeInstances", Err: provider.Errorf(provider.KindThrottled, "no call was left")}, provider.KindThrottled, "throttled: no call was left"},
	} {
		got := classify(c.err)
		if fmt.Sprint(got) != c.text || provider.KindOf(got) != c.kind {
			t.Errorf("%v:\n got %v\nwant %s", c.err, got, c.text)
		}
		if c.err != nil && c.kind != provider.KindThrottled && !errors.Is(got, errors.Unwrap(c.err)) && codeOf(got) == "" {
			t.Errorf("%v lost its cause", c.err)
		}
	}
}

// TestAnswersOfOthers: a proxy or gateway answers in place of AWS, without AWS's words.
func TestAnswersOfOthers(t *testing.T) {
	startCloud(t, ec2.Config{}) // for its credentials
	var all sync.WaitGroup      // the SDK repeats some of the calls, and pauses
	for status, want := range map[int]provider.FailureKind{
		401: provider.KindConfig, 403: provider.KindConfig, 404: provider.KindConfig, 407: provider.KindConfig, 429: provider.KindThrottled, 500: provider.KindTransient, 503: provider.KindTransient,
	} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "<html>not here</html>", status)
		}))
		defer front.Close()
		all.Go(func() {
			err := initError(t, newGroup(func(g *InstanceGroup) { g.Endpoint = front.URL }))
			if provider.KindOf(err) != want || !strings.Contains(err.Error(), fmt.Sprintf("autoscaling:DescribeAutoScalingGroups was answered with HTTP status %d, and not by AWS", status)) {
				t.Errorf("%d: %v", status, err)
			}
			if f := provider.FailureOf(err); status == 429 && f.RetryAfter != 7*time.Second {
				t.Errorf("Retry-After is lost: %+v", f)
			}
		})
	}
	all.Wait()
}

// TestEveryCodeHasOneKind: a code that the SDK takes for throttling must not be in our table with another kind.
func TestEveryCodeHasOneKind(t *testing.T) {
	for code, kind := range codes {
		if got := provider.KindOf(classify(refused("EC2", "X", code, "text"))); got != kind {
			t.Errorf("%s is %v, and the table says %v", code, got, kind)
		}
	}
	for code := range remedies {
		if codes[code] != provider.KindConfig && code != "AuthFailure" {
			t.Errorf("%s has a remedy, and is not a fault of the configuration", code)
		}
	}
	if got := classify(refused("EC2", "X", "UnauthorizedOperation", strings.Repeat("a b ", 2))).Error(); !strings.Contains(got, "a b a b)") {
		t.Error(got)
	}
}

// TestHostThatDoesNotExist: at the start it is a fault of the configuration, and names the key. An answer that the resolver does not know is none.
func TestHostThatDoesNotExist(t *testing.T) {
	lost := &net.DNSError{Name: "autoscaling.eu-wst-1.amazonaws.com", Err: "no such host", IsNotFound: true}
	call := func(err error) error {
		return classify(&smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingGroups", Err: fmt.Errorf("dial: %w", err)})
	}
	for _, c := range []struct {
		g   *InstanceGroup
		key string
	}{{&InstanceGroup{Region: "eu-wst-1"}, `check region, which is "eu-wst-1"`}, {&InstanceGroup{Endpoint: "http://x"}, "check endpoint"}} {
		if err := c.g.unreachable(call(lost)); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), lost.Name) {
			t.Error(err)
		}
		if err := c.g.unreachable(call(&net.DNSError{Err: "server misbehaving", IsTemporary: true})); provider.KindOf(err) != provider.KindTransient {
			t.Error(err)
		}
	}
}
