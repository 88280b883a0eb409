package aws

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit/httpkit"
)

// prefixes are the services as IAM names them, by the id that the SDK gives them.
var prefixes = map[string]string{"Auto Scaling": "autoscaling", "EC2": "ec2", "EC2 Instance Connect": "ec2-instance-connect", "STS": "sts"}

// denied are the error codes for a missing permission.
var denied = []string{"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthException", "AuthFailure.ServiceLinkedRoleCreationNotPermitted"}

// codes are the kinds of the error codes that AWS documents. Codes for too many calls are those that the SDK knows.
var codes = map[string]provider.FailureKind{
	"InvalidInstanceID.NotFound": provider.KindNotFound, "InvalidInstanceID.Malformed": provider.KindNotFound, "InvalidInstanceId": provider.KindNotFound,
	"EC2InstanceNotFoundException": provider.KindNotFound, "InvalidInstanceIDNotFound": provider.KindNotFound,

	"InsufficientInstanceCapacity": provider.KindCapacity, "InsufficientHostCapacity": provider.KindCapacity, "InsufficientCapacity": provider.KindCapacity,
	"InsufficientReservedInstanceCapacity": provider.KindCapacity, "UnfulfillableCapacity": provider.KindCapacity, "SpotMaxPriceTooLow": provider.KindCapacity,

	"InstanceLimitExceeded": provider.KindQuota, "VcpuLimitExceeded": provider.KindQuota, "MaxSpotInstanceCountExceeded": provider.KindQuota,
	"LimitExceeded": provider.KindQuota, "AddressLimitExceeded": provider.KindQuota, "VolumeLimitExceeded": provider.KindQuota,
	"InsufficientFreeAddressesInSubnet": provider.KindQuota, "InsufficientAddressCapacity": provider.KindQuota,

	"ScalingActivityInProgress": provider.KindTransient, "ResourceContention": provider.KindTransient, "ResourceInUse": provider.KindTransient,
	"InternalFailure": provider.KindTransient, "InternalError": provider.KindTransient, "ServiceUnavailable": provider.KindTransient, "Unavailable": provider.KindTransient,
	"RequestTimeout": provider.KindTransient, "RequestTimeoutException": provider.KindTransient, "IncorrectInstanceState": provider.KindTransient,
	"EC2InstanceStateInvalidException": provider.KindTransient, "EC2InstanceUnavailableException": provider.KindTransient, "ServiceException": provider.KindTransient,

	"AuthFailure": provider.KindConfig, "UnrecognizedClientException": provider.KindConfig, "InvalidClientTokenId": provider.KindConfig, "InvalidAccessKeyId": provider.KindConfig,
	"SignatureDoesNotMatch": provider.KindConfig, "ExpiredToken": provider.KindConfig, "ExpiredTokenException": provider.KindConfig, "RequestExpired": provider.KindConfig,
	"MissingAuthenticationToken": provider.KindConfig, "IncompleteSignature": provider.KindConfig, "OptInRequired": provider.KindConfig, "Blocked": provider.KindConfig,
	"EC2InstanceTypeInvalidException": provider.KindConfig, "InvalidArgsException": provider.KindConfig, "SignatureException": provider.KindConfig,
}

// remedies are what to do about some error codes.
var remedies = map[string]string{
	"ExpiredToken":                "the session token has expired: renew it in the profile or the environment",
	"ExpiredTokenException":       "the session token has expired: renew it in the profile or the environment",
	"RequestExpired":              "the clock of this machine differs from AWS's, or the token has expired",
	"InvalidClientTokenId":        "AWS does not know this access key: check profile, credentials_file or the environment, and that the region is enabled for the account",
	"UnrecognizedClientException": "AWS does not know this access key: check profile, credentials_file or the environment, and that the region is enabled for the account",
	"AuthFailure":                 "AWS does not know this access key, or the region is not enabled for the account: check the credentials and region",
	"SignatureDoesNotMatch":       "the secret key, the region or the clock of this machine is wrong",
	"OptInRequired":               "the account is not signed up for this service or region",
}

// classify gives an error of the SDK its kind, and a text that names the call as IAM does. nil stays nil.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var own *provider.Error
	if errors.As(err, &own) {
		return own
	}
	call := callOf(err)
	var api smithy.APIError
	if !errors.As(err, &api) {
		kind := provider.KindOf(httpkit.Error(err))
		return provider.Errorf(kind, "%s: %w", call, unwrapSDK(err))
	}
	code, text := api.ErrorCode(), plain(api.ErrorMessage())
	switch {
	case slices.Contains(denied, code):
		return provider.Errorf(provider.KindConfig, "the permission %s is missing: add it to the policy of the role or user (%w)", call, &reply{api, text})
	case remedies[code] != "":
		return provider.Errorf(provider.KindConfig, "%s was refused: %s (%w)", call, remedies[code], &reply{api, text})
	}
	e := provider.Errorf(kindOf(api, text), "%s was refused: %w", call, &reply{api, text})
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) || resp.Response == nil {
		return e
	}
	if code == unknownError { // the answer is not one of AWS, but of a proxy or gateway before it
		e = provider.Errorf(kindOfStatus(resp.HTTPStatusCode()), "%s was answered with HTTP status %d, and not by AWS", call, resp.HTTPStatusCode())
	}
	if e.Kind == provider.KindThrottled {
		e.RetryAfter = httpkit.RetryAfter(resp.Response.Header, time.Now())
	}
	return e
}

// unknownError is the code that the SDK gives to an answer that has none.
const unknownError = "UnknownError"

// kindOfStatus returns what an HTTP status means if AWS did not say more. What is not found then is an address, and no instance.
func kindOfStatus(status int) provider.FailureKind {
	if kind := httpkit.Kind(status); kind != provider.KindNotFound {
		return kind
	}
	return provider.KindConfig
}

// kindOf returns the kind of an error of the API.
func kindOf(api smithy.APIError, text string) provider.FailureKind {
	code := api.ErrorCode()
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled {
		return provider.KindThrottled
	}
	if kind, ok := codes[code]; ok {
		return kind
	}
	switch {
	case code == "ValidationError" && strings.Contains(strings.ToLower(text), "instance id not found"):
		return provider.KindNotFound
	case api.ErrorFault() == smithy.FaultServer, code == unknownError, code == "":
		return provider.KindTransient
	}
	return provider.KindConfig
}

// unreachable makes an error of the configuration of one that says that the address of AWS does not exist, and names the keys. At the start it is
// a mistyped region more often than a network that is not there yet.
func (g *InstanceGroup) unreachable(err error) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		return err
	}
	key := fmt.Sprintf("region, which is %.40q", g.Region)
	if g.Endpoint != "" {
		key = "endpoint"
	}
	return provider.Errorf(provider.KindConfig, "plugin_config: the host %s does not exist, check %s: %w", dns.Name, key, err)
}

// reply is an answer of AWS, without what people cannot read.
type reply struct {
	smithy.APIError
	text string
}

func (r *reply) Error() string {
	if r.text == "" {
		return r.ErrorCode()
	}
	return r.ErrorCode() + ": " + r.text
}

// plain returns a message of AWS without the encoded part that EC2 adds to a denial.
func plain(text string) string {
	text, _, _ = strings.Cut(text, " Encoded authorization failure message")
	return strings.Join(strings.Fields(text), " ")
}

// callOf names the call as IAM does, such as "autoscaling:SetDesiredCapacity".
func callOf(err error) string {
	var op *smithy.OperationError
	if !errors.As(err, &op) {
		return "the call"
	}
	service, ok := prefixes[op.ServiceID]
	if !ok {
		service = op.ServiceID
	}
	return service + ":" + op.OperationName
}

// unwrapSDK returns the innermost reason of a failure below HTTP. The texts around it repeat the name of the call, and ids of requests.
func unwrapSDK(err error) error {
	var op *smithy.OperationError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// firstLine returns the first line of an error's text.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// forbidden reports whether an error says that a permission is missing.
func forbidden(err error) bool { return slices.Contains(denied, codeOf(err)) }

// codeOf returns the code of an error of the API, or "".
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
