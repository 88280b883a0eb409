package aws

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// encrypt encrypts a password as AWS does.
func encrypt(t *testing.T, text string) string {
	t.Helper()
	raw, err := rsa.EncryptPKCS1v15(rand.Reader, &rsaKey().PublicKey, []byte(text)) //nolint:staticcheck // AWS encrypts so
	if err != nil {
		t.Fatal(err)
	}
	return "\r\n" + base64.StdEncoding.EncodeToString(raw) + "\r\n"
}

func (c *cloud) runWindows(n int) *types.Instance {
	i := c.run(n)
	i.Platform, i.PlatformDetails = types.PlatformValuesWindows, aws.String("Windows")
	return i
}

func TestPasswordOfWindows(t *testing.T) {
	onGround(t, withKey(pkcs1(rsaKey())), func(t *testing.T, g *ground) {
		g.runWindows(1)
		g.sees(t)
		start := time.Now()
		for time.Since(start) < 4*time.Minute { // the manager asks often, EC2 is asked with a back-off
			info, err := g.connectInfo(t.Context(), ident(1))
			if provider.KindOf(err) != provider.KindTransient || info.ID != "" || !strings.Contains(err.Error(), "not there yet") {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := g.count("GetPasswordData"); n < 8 || n > 12 {
			t.Errorf("%d questions in 4 minutes", n)
		}
		g.change(func() { g.encrypted[ident(1)] = encrypt(t, "hunter2") })
		time.Sleep(passwordLast)
		asked := g.count("GetPasswordData")
		for range 3 {
			info, err := g.connectInfo(t.Context(), ident(1))
			if err != nil || info.Password != "hunter2" || info.Username != "Administrator" || info.OS != "windows" || info.Expires != nil {
				t.Errorf("%v, %v", info, err)
			}
		}
		if n := g.count("GetPasswordData") - asked; n != 1 || g.count("SendSSHPublicKey") != 0 {
			t.Errorf("%d questions for a password that is known, calls %v", n, g.calls)
		}
	})
}

func TestWindowsWithoutUsableKey(t *testing.T) {
	for name, c := range map[string]struct {
		key    []byte
		change func(*types.Instance)
		want   string
	}{
		"no key":         {nil, nil, "nothing can decrypt their passwords"},
		"ed25519":        {openSSH(t, edKey()), nil, "is an ed25519 key"},
		"no key pair":    {pkcs1(rsaKey()), func(i *types.Instance) { i.KeyName = nil }, "has no key pair"},
		"another key":    {pkcs8(t, rsaKey()), nil, `does not decrypt the password`},
		"not a password": {openSSH(t, rsaKey()), nil, `does not decrypt the password`},
	} {
		t.Run(name, func(t *testing.T) {
			onGround(t, withKey(c.key), func(t *testing.T, g *ground) {
				i := g.runWindows(1)
				if c.change != nil {
					c.change(i)
				}
				g.encrypted[ident(1)] = base64.StdEncoding.EncodeToString(make([]byte, 256))
				if name == "not a password" {
					g.encrypted[ident(1)] = "%%%"
				}
				g.sees(t)
				_, err := g.connectInfo(t.Context(), ident(1))
				if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestWindowsWithOwnPassword(t *testing.T) {
	onGround(t, provider.Settings{ConnectorConfig: provider.ConnectorConfig{Password: "hush", Username: "ci"}}, func(t *testing.T, g *ground) {
		g.runWindows(1)
		g.sees(t)
		info, err := g.connectInfo(t.Context(), ident(1))
		if err != nil || info.Password != "hush" || info.Username != "ci" || g.count("GetPasswordData") != 0 {
			t.Errorf("%v, %v", info, err)
		}
	})
}

func TestImageAtStart(t *testing.T) {
	spec := &autoscaling.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-1"), LaunchTemplateName: aws.String("ci")}
	plain := group{LaunchTemplate: spec}
	mixed := group{MixedInstancesPolicy: &autoscaling.MixedInstancesPolicy{LaunchTemplate: &autoscaling.LaunchTemplate{LaunchTemplateSpecification: spec}}}
	linuxOS := provider.Settings{ConnectorConfig: provider.ConnectorConfig{OS: "linux"}}
	for name, c := range map[string]struct {
		group    group
		settings provider.Settings
		image    string
		fail     string
		want     provider.FailureKind
		calls    int
	}{
		"windows":          {plain, provider.Settings{}, "ami-win", "", provider.KindConfig, 2},
		"mixed, windows":   {mixed, withKey(openSSH(t, edKey())), "ami-win", "", provider.KindConfig, 2},
		"windows, RSA":     {plain, withKey(pkcs1(rsaKey())), "ami-win", "", 0, 0},
		"linux":            {plain, provider.Settings{}, "ami-lin", "", 0, 2},
		"set":              {plain, linuxOS, "ami-win", "", 0, 0},
		"gone":             {plain, provider.Settings{}, "ami-none", "", 0, 2},
		"alias":            {plain, provider.Settings{}, "resolve:ssm:/ami", "", 0, 1},
		"template denied":  {plain, provider.Settings{}, "ami-win", "DescribeLaunchTemplateVersions", 0, 1},
		"image denied":     {plain, provider.Settings{}, "ami-win", "DescribeImages", 0, 2},
		"no template":      {group{}, provider.Settings{}, "ami-win", "", 0, 0},
		"launch by config": {group{LaunchConfigurationName: aws.String("old")}, provider.Settings{}, "ami-win", "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			onGround(t, c.settings, func(t *testing.T, g *ground) {
				g.version = &types.ResponseLaunchTemplateData{ImageId: aws.String(c.image)}
				g.amis["ami-win"] = types.Image{ImageId: aws.String("ami-win"), Platform: types.PlatformValuesWindows}
				g.amis["ami-lin"] = types.Image{ImageId: aws.String("ami-lin"), PlatformDetails: aws.String("Linux/UNIX"), Architecture: types.ArchitectureValuesArm64}
				g.fail[c.fail] = apiError("UnauthorizedOperation", "You are not authorized to perform this operation.")
				err := g.checkImage(t.Context(), g.cloud, c.group)
				if calls := g.count("DescribeLaunchTemplateVersions") + g.count("DescribeImages"); provider.KindOf(err) != c.want || calls != c.calls {
					t.Errorf("%v after %d calls", err, calls)
				}
			})
		})
	}
}
