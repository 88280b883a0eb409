package aws

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// initError is the error of Init.
func initError(t *testing.T, g *InstanceGroup) error {
	t.Helper()
	_, err := g.Init(t.Context(), hclog.NewNullLogger(), provider.Settings{})
	return err
}

// TestInit: the group that the documentation sets up has nothing to warn about.
func TestInit(t *testing.T) {
	r := open(t, ciGroup())
	r.want("warnings", r.log.String(), "")
	again := newGroup()
	info, err := again.Init(t.Context(), hclog.NewNullLogger(), provider.Settings{})
	if err != nil || info.ID != "aws/eu-west-1/ci" || info.MaxSize != 10 {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := again.Describe(t.Context()); err != nil || info.ID != "aws/eu-west-1/ci" || info.MaxSize != 10 {
		t.Errorf("%+v, %v", info, err)
	}
	r.want("changes", r.cloud.Calls()[setDesired], 0)
}

// TestNotes: what is not wrong, and could be better, is no warning.
func TestNotes(t *testing.T) {
	r := open(t, ciGroup(func(c *ec2.GroupConfig) { c.Suspended = []string{"AZRebalance"} }))
	if text := r.log.String(); !strings.Contains(text, "[INFO]  the group replaces unhealthy machines by itself: suspend its process ReplaceUnhealthy") || strings.Contains(text, "WARN") {
		t.Error(text)
	}
}

// TestFaultsOfTheConfiguration: each is found at the start, is one of the configuration, and says what to change.
func TestFaultsOfTheConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*InstanceGroup)
		want   []string
	}{
		"no name":      {func(g *InstanceGroup) { g.Name = "" }, []string{"plugin_config: name is missing"}},
		"another name": {func(g *InstanceGroup) { g.Name = "cii" }, []string{`name "cii" is not an Auto Scaling group in region eu-west-1`, "the groups there are ci, other"}},
		"no profile":   {func(g *InstanceGroup) { g.Profile = "nobody" }, []string{"profile", "nobody"}},
		"several": {func(g *InstanceGroup) {
			g.LaunchWait, g.APIRate, g.Endpoint, g.CredentialsFile, g.ExternalID = -1, 0.01, "gateway:80", "/does/not/exist", secret.New("x")
		}, []string{"launch_wait is", "api_rate is 0.01", "endpoint is not a URL", "credentials_file cannot be read", "external_id is set, but role_arn is not"}},
	} {
		t.Run(name, func(t *testing.T) {
			startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{ciGroup(), ciGroup(func(c *ec2.GroupConfig) { c.Name = "other" })}})
			err := initError(t, newGroup(c.change))
			if provider.KindOf(err) != provider.KindConfig {
				t.Fatal(err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
		})
	}
}

// TestAccess: wrong or missing credentials are found at the start. No call is repeated.
func TestAccess(t *testing.T) {
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:Describe*","ec2:Describe*"],"Resource":"*"},{"Effect":"Deny","Action":"autoscaling:DescribePolicies","Resource":"*"}]}`
	for name, c := range map[string]struct {
		credential ec2.Credential
		env        map[string]string
		want       string
	}{
		"wrong secret":      {env: map[string]string{"AWS_SECRET_ACCESS_KEY": "x"}, want: "the secret key, the region or the clock of this machine is wrong"},
		"unknown key":       {env: map[string]string{"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}, want: "AWS does not know this access key"},
		"another region":    {env: map[string]string{"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}, want: "region"},
		"expired token":     {credential: ec2.Credential{Token: "t", Expires: time.Now().Add(-time.Minute)}, want: "the session token has expired: renew it"},
		"nothing allowed":   {credential: ec2.Credential{Policy: `{"Version":"2012-10-17","Statement":[]}`}, want: "the permission autoscaling:DescribeAutoScalingGroups is missing"},
		"no credentials":    {env: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, want: "no AWS credentials were found: set profile or credentials_file, let plugin_env pass"},
		"no descriptions":   {credential: ec2.Credential{Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"autoscaling:*","Resource":"*"}]}`}, want: "the permission ec2:DescribeInstances is missing"},
		"an optional right": {credential: ec2.Credential{Policy: allow}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ec2.Config{Groups: []ec2.GroupConfig{ciGroup()}}
			if c.credential != (ec2.Credential{}) {
				c.credential.Secret = "secret"
				cfg.Credentials = map[string]ec2.Credential{"AKIATEST": c.credential}
			}
			s := startCloud(t, cfg)
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			err := initError(t, newGroup())
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "":
			case provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), c.want):
				t.Error(err)
			case s.Calls()[describeGroups] > 1:
				t.Errorf("%d calls", s.Calls()[describeGroups])
			}
		})
	}
}

// TestOptionalRights: without a permission that only warnings need, Init succeeds and says which one is missing.
func TestOptionalRights(t *testing.T) {
	s := startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{ciGroup()}, Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:DescribeAutoScalingGroups","ec2:*"],"Resource":"*"}]}`})
	r := attach(t, s)
	for _, action := range []string{"DescribePolicies", "DescribeScheduledActions", "DescribeInstanceRefreshes"} {
		if !strings.Contains(r.log.String(), "the permission autoscaling:"+action+" is missing") {
			t.Errorf("no word of %s: %s", action, r.log)
		}
	}
}

// TestFiles: credentials, region and endpoint come from the shared files, as the AWS command line reads them.
func TestFiles(t *testing.T) {
	s := startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{ciGroup()}, Credentials: map[string]ec2.Credential{"AKIAFILE": {Secret: "in the file"}}})
	for _, key := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"} {
		t.Setenv(key, "")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	g := newGroup(func(g *InstanceGroup) {
		g.Profile, g.Endpoint = "ci", s.URL()
		g.ConfigFile = write("config", "[profile ci]\nregion = eu-west-1\n")
		g.CredentialsFile = write("credentials", "[ci]\naws_access_key_id = AKIAFILE\naws_secret_access_key = in the file\n")
	})
	if err := initError(t, g); err != nil || g.Region != "eu-west-1" {
		t.Errorf("region %q, %v", g.Region, err)
	}
	g = newGroup(func(g *InstanceGroup) { g.Endpoint = s.URL() })
	if err := initError(t, g); err == nil || !strings.Contains(err.Error(), "region is missing: set it here or in the profile, or let plugin_env pass AWS_REGION") {
		t.Error(err)
	}
}

// TestCABundle: the SDK can add the certificates of AWS_CA_BUNDLE.
func TestCABundle(t *testing.T) {
	startCloud(t, ec2.Config{Groups: []ec2.GroupConfig{ciGroup()}})
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", path)
	if err := initError(t, newGroup()); err != nil {
		t.Error(err)
	}
}
