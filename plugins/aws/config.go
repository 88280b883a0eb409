package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit/httpkit"
)

const (
	defaultRate       = 20.0
	rateBurst         = 40
	defaultLaunchWait = 30 * time.Second
	maxAttempts       = 4                // of one call, the first included
	maxBackoff        = 5 * time.Second  // between two attempts
	attemptLimit      = 30 * time.Second // for one attempt, from its turn in the rate to the end of the answer
)

// check finds every fault of the configuration that needs no call.
func (g *InstanceGroup) check() error {
	var f pluginkit.Faults
	f.Required("name", g.Name)
	f.NotNegative("launch_wait", g.LaunchWait)
	if g.LaunchWait == 0 {
		g.LaunchWait = provider.Duration(defaultLaunchWait)
	}
	if g.APIRate == 0 {
		g.APIRate = defaultRate
	}
	if g.APIRate > 0 && g.APIRate < 0.1 {
		f.Add("api_rate", "is %g calls a second, with which no fleet can be kept: use at least 0.1, or a negative number for no limit", g.APIRate)
	}
	if !g.ExternalID.Empty() && g.RoleARN == "" {
		f.Add("external_id", "is set, but role_arn is not: it is for the role that is assumed")
	}
	if u, err := url.Parse(g.Endpoint); g.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		f.Add("endpoint", "is not a URL such as https://gateway.example:8443")
	}
	for _, file := range []struct{ key, path string }{{"config_file", g.ConfigFile}, {"credentials_file", g.CredentialsFile}} {
		if file.path == "" {
			continue
		}
		if _, err := os.Stat(file.path); err != nil {
			f.Add(file.key, "cannot be read: %v", err)
		}
	}
	return f.Err()
}

// load finds the region and the credentials, as the AWS command line does.
func (g *InstanceGroup) load(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, g.options()...)
	if err != nil {
		return aws.Config{}, provider.Errorf(provider.KindConfig, "reading the AWS configuration: %w", err)
	}
	cfg.HTTPClient = paced{httpkit.Limit(trip(cfg.HTTPClient.Do), g.APIRate, rateBurst)}
	if cfg.Region == "" {
		return aws.Config{}, provider.Errorf(provider.KindConfig,
			"plugin_config: region is missing: set it here or in the profile, or let plugin_env pass AWS_REGION")
	}
	if g.RoleARN != "" {
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), g.RoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "taskscaler"
			if id := g.ExternalID.Reveal(); id != "" {
				o.ExternalID = aws.String(id)
			}
		}))
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return aws.Config{}, noCredentials(err)
	}
	return cfg, nil
}

// options are those of the AWS configuration that differ from the defaults.
func (g *InstanceGroup) options() []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptLimit)), // of this type, or the SDK cannot add a CA bundle
		config.WithRetryer(func() aws.Retryer { return newRetryer() }),
		config.WithAppID("taskscaler"),
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) { // its default prints
			g.log.Debug(strings.TrimSpace(fmt.Sprintf(format, args...)))
		})),
	}
	if g.Region != "" {
		opts = append(opts, config.WithRegion(g.Region))
	}
	if g.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(g.Profile))
	}
	if g.ConfigFile != "" {
		opts = append(opts, config.WithSharedConfigFiles([]string{g.ConfigFile}))
	}
	if g.CredentialsFile != "" {
		opts = append(opts, config.WithSharedCredentialsFiles([]string{g.CredentialsFile}))
	}
	if g.Endpoint != "" {
		opts = append(opts, config.WithBaseEndpoint(g.Endpoint))
	}
	return opts
}

// newRetryer returns the adaptive retryer of the SDK: when AWS throttles, it also slows down the calls that follow.
func newRetryer() aws.Retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(s *retry.StandardOptions) {
			s.MaxAttempts, s.MaxBackoff = maxAttempts, maxBackoff
			s.Retryables = append([]retry.IsErrorRetryable{ownLimit{}}, s.Retryables...)
		})
	})
}

// paced is the HTTP client of the SDK with a limited rate.
type paced struct{ limited http.RoundTripper }

// Do makes a request when its turn has come. It gives the transport a body of its own: the SDK closes its body when the answer begins, and if the transport has
// not noticed the end of it yet, it takes that for a failure and cuts the answer off. A near server is quick enough for that.
func (p paced) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return p.limited.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body) // a few hundred bytes
	if err != nil {
		return nil, err
	}
	own := r.Clone(r.Context())
	own.Body, own.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return p.limited.RoundTrip(own)
}

type trip func(*http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// ownLimit keeps the SDK from repeating a call that waited for its turn until its time was over.
type ownLimit struct{}

func (ownLimit) IsErrorRetryable(err error) aws.Ternary {
	var e *provider.Error
	if errors.As(err, &e) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// noCredentials says where credentials are looked for.
func noCredentials(err error) error {
	if e := classify(err); provider.KindOf(e) == provider.KindConfig { // the role was refused, for example
		return e
	}
	return provider.Errorf(provider.KindConfig, "no AWS credentials were found: set profile or credentials_file, let plugin_env pass AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role (%w)",
		fmt.Errorf("%s", firstLine(err)))
}
