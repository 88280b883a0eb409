package aws

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscaling "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"
	"github.com/aws/smithy-go"
	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// cloud is an EC2 in memory.
type cloud struct {
	mu        sync.Mutex
	calls     map[string]int
	instances map[string]*types.Instance
	checks    map[string]types.InstanceStatus
	amis      map[string]types.Image
	encrypted map[string]string
	spot      []types.SpotInstanceRequest
	version   *types.ResponseLaunchTemplateData
	sent      []*ec2instanceconnect.SendSSHPublicKeyInput
	fail      map[string]error         // by the name of the call
	slow      map[string]time.Duration // the same; set before the first call
}

func newCloud() *cloud {
	return &cloud{calls: map[string]int{}, instances: map[string]*types.Instance{}, checks: map[string]types.InstanceStatus{}, amis: map[string]types.Image{}, encrypted: map[string]string{}, fail: map[string]error{}}
}

// called counts a call, takes 10 ms for it, and returns the error that it fails with. It locks the cloud.
func (c *cloud) called(ctx context.Context, name string) error {
	var err error
	select {
	case <-time.After(cmp.Or(c.slow[name], 10*time.Millisecond)):
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	c.calls[name]++
	return cmp.Or[error](err, c.fail[name])
}

// change changes the cloud.
func (c *cloud) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cloud) count(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[name]
}

func apiError(code, text string) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "Call", Err: &smithy.GenericAPIError{Code: code, Message: text}}
}

func (c *cloud) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	err := c.called(ctx, "DescribeInstances")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstancesOutput{}
	for _, id := range in.InstanceIds {
		i, ok := c.instances[id]
		if !ok {
			return nil, apiError("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
		}
		out.Reservations = append(out.Reservations, types.Reservation{Instances: []types.Instance{*i}})
	}
	return out, nil
}

func (c *cloud) DescribeInstanceStatus(ctx context.Context, in *ec2.DescribeInstanceStatusInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceStatusOutput, error) {
	err := c.called(ctx, "DescribeInstanceStatus")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstanceStatusOutput{}
	for _, id := range in.InstanceIds {
		if _, ok := c.instances[id]; !ok {
			return nil, apiError("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
		}
		s := c.checks[id]
		s.InstanceId, s.InstanceState = aws.String(id), c.instances[id].State
		out.InstanceStatuses = append(out.InstanceStatuses, s)
	}
	return out, nil
}

func (c *cloud) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	err := c.called(ctx, "DescribeImages")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeImagesOutput{}
	for _, id := range in.ImageIds {
		if i, ok := c.amis[id]; ok {
			out.Images = append(out.Images, i)
		}
	}
	return out, nil
}

func (c *cloud) DescribeSpotInstanceRequests(ctx context.Context, in *ec2.DescribeSpotInstanceRequestsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSpotInstanceRequestsOutput, error) {
	err := c.called(ctx, "DescribeSpotInstanceRequests")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var found []types.SpotInstanceRequest // as the filter says
	for _, r := range c.spot {
		if r.Status == nil || len(in.Filters) == 1 && *in.Filters[0].Name == "status-code" && slices.Contains(in.Filters[0].Values, *r.Status.Code) {
			found = append(found, r)
		}
	}
	return &ec2.DescribeSpotInstanceRequestsOutput{SpotInstanceRequests: found}, nil
}

func (c *cloud) GetPasswordData(ctx context.Context, in *ec2.GetPasswordDataInput, _ ...func(*ec2.Options)) (*ec2.GetPasswordDataOutput, error) {
	err := c.called(ctx, "GetPasswordData")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &ec2.GetPasswordDataOutput{PasswordData: aws.String(c.encrypted[*in.InstanceId])}, nil
}

func (c *cloud) DescribeLaunchTemplateVersions(ctx context.Context, _ *ec2.DescribeLaunchTemplateVersionsInput, _ ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	err := c.called(ctx, "DescribeLaunchTemplateVersions")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []types.LaunchTemplateVersion{{LaunchTemplateData: c.version}}}, nil
}

func (c *cloud) SendSSHPublicKey(ctx context.Context, in *ec2instanceconnect.SendSSHPublicKeyInput, _ ...func(*ec2instanceconnect.Options)) (*ec2instanceconnect.SendSSHPublicKeyOutput, error) {
	err := c.called(ctx, "SendSSHPublicKey")
	defer c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c.sent = append(c.sent, in)
	return &ec2instanceconnect.SendSSHPublicKeyOutput{Success: true}, nil
}

// run adds an instance that runs.
func (c *cloud) run(n int) *types.Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := ident(n)
	i := &types.Instance{
		InstanceId: aws.String(id), PrivateIpAddress: aws.String("10.0.0.1"), PublicIpAddress: aws.String("203.0.113.1"), Ipv6Address: aws.String("2001:db8::1"),
		Architecture: types.ArchitectureValuesX8664, PlatformDetails: aws.String("Linux/UNIX"), ImageId: aws.String("ami-0001"), KeyName: aws.String("ci"),
		State: &types.InstanceState{Name: types.InstanceStateNameRunning},
		Tags:  []types.Tag{{Key: aws.String(groupTag), Value: aws.String("ci")}},
	}
	c.instances[id] = i
	return i
}

// members returns the list that a group with all instances has.
func (c *cloud) members() (list []member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.instances {
		list = append(list, member{InstanceId: aws.String(id), LifecycleState: autoscaling.LifecycleStateInService, HealthStatus: aws.String("Healthy")})
	}
	return list
}

// ground is a test with machines in a bubble.
type ground struct {
	*cloud
	*machines
	warnings []string
}

// onGround runs f in a bubble. settings and change may be zero.
func onGround(t *testing.T, settings provider.Settings, f func(t *testing.T, g *ground)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &ground{cloud: newCloud()}
		g.machines = &machines{group: "ci", settings: secret.Hide(settings), ec2: g.cloud, connect: g.cloud, now: time.Now}
		g.warn = func(text string, _ ...any) {
			if !slices.Contains(g.warnings, text) {
				g.warnings = append(g.warnings, text)
			}
		}
		if err := g.prepare(nil); err != nil {
			t.Fatal(err)
		}
		defer g.close()
		f(t, g)
	})
}

// list makes a list of all instances.
func (g *ground) list(t *testing.T) map[string]bool {
	t.Helper()
	going, err := g.going(t.Context(), g.members())
	if err != nil {
		t.Fatal(err)
	}
	return going
}

func (g *ground) members() []member { return g.cloud.members() }

// sees waits until a new list is worked off.
func (g *ground) sees(t *testing.T) {
	t.Helper()
	g.list(t)
	time.Sleep(time.Second)
}

// The keys of the tests. An RSA key takes a while to make.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
	edKey = sync.OnceValue(func() ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
	ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
)

// openSSH writes a key in the form of OpenSSH.
func openSSH(t testing.TB, key any) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// sshPublic writes the public half of a key in the form of authorized_keys.
func sshPublic(t testing.TB, key any) []byte {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.MarshalAuthorizedKey(signer.PublicKey())
}

func pkcs1(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func withKey(key []byte) provider.Settings {
	return provider.Settings{ConnectorConfig: provider.ConnectorConfig{Key: key}}
}
