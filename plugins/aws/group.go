package aws

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/semaphore"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// InstanceGroup is one Auto Scaling group. Its exported fields are the keys of plugin_config.
type InstanceGroup struct {
	Name            string            `json:"name"`                       // name of the Auto Scaling group
	Region          string            `json:"region,omitempty"`           // default: that of the profile, or AWS_REGION
	Profile         string            `json:"profile,omitempty"`          // profile of the shared files. Default: "default"
	ConfigFile      string            `json:"config_file,omitempty"`      // shared config file. Default: ~/.aws/config
	CredentialsFile string            `json:"credentials_file,omitempty"` // shared credentials file. Default: ~/.aws/credentials
	RoleARN         string            `json:"role_arn,omitempty"`         // role to assume with the credentials found
	ExternalID      secret.Text       `json:"external_id,omitempty"`      // external id that this role asks for
	Endpoint        string            `json:"endpoint,omitempty"`         // URL for all services, instead of AWS's own: a private gateway, or a test server
	APIRate         float64           `json:"api_rate,omitempty"`         // most calls of the API in a second. Default: 20; negative: no limit
	LaunchWait      provider.Duration `json:"launch_wait,omitzero"`       // how long a create watches whether the group can launch. Default: 30s
	UseIPv6         bool              `json:"use_ipv6,omitempty"`         // the external address is the IPv6 address of the instance
	PushAhead       bool              `json:"push_ahead,omitempty"`       // push the key to every ready machine before it is needed, at the cost of a call each 40 s
	NoStatusChecks  bool              `json:"no_status_checks,omitempty"` // do not ask for EC2's status checks at heartbeats

	log      *slog.Logger
	settings secret.Value[provider.Settings]
	api      clients
	machines *machines
	now      func() time.Time // the clock; tests turn it
	looks    looks            // zero: as in Init
	good     freshness        // zero: as in prepare

	growing  *semaphore.Weighted // held by Increase, so that two creates do not count each other's machines
	resizing *semaphore.Weighted // all of it: the desired capacity is read and set; 1: an instance is terminated, which lowers it

	mu      sync.Mutex           // guards the fields below
	latest  sight                // the latest list
	trouble error                // why the group cannot launch what it was asked for, as last read; nil: it can
	read    time.Time            // when watch last read why
	raised  time.Time            // when the desired capacity was last set
	ended   map[string]time.Time // when AWS accepted the termination of an instance, in the last seconds
	warned  map[string]bool      // sentences that were logged already
}

var (
	_ provider.InstanceGroup = (*InstanceGroup)(nil)
	_ provider.Heartbeater   = (*InstanceGroup)(nil)
	_ provider.Describer     = (*InstanceGroup)(nil)
)

// Init loads the credentials, finds the group, and warns about settings of it that harm a fleet of CI machines. It changes nothing.
func (g *InstanceGroup) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = pluginkit.Slog(log), secret.Hide(settings)
	if g.now == nil {
		g.now = time.Now
	}
	if g.looks.first == 0 {
		g.looks = looks{500 * time.Millisecond, 2 * time.Second}
	}
	g.warned, g.ended = map[string]bool{}, map[string]time.Time{}
	g.growing, g.resizing = semaphore.NewWeighted(1), semaphore.NewWeighted(everyone)
	if err := g.check(); err != nil {
		return provider.ProviderInfo{}, err
	}
	cfg, err := g.load(ctx)
	if err != nil {
		return provider.ProviderInfo{}, err
	}
	g.Region = cfg.Region
	g.api = newClients(cfg)
	found, err := g.find(ctx)
	if err != nil {
		return provider.ProviderInfo{}, g.unreachable(err)
	}
	if err := impossible(found); err != nil {
		return provider.ProviderInfo{}, err
	}
	if g.machines, err = g.newMachines(ctx, found); err != nil {
		return provider.ProviderInfo{}, err
	}
	for _, w := range g.inspect(ctx, found) {
		g.log.Warn(w)
	}
	if !suspended(found, "ReplaceUnhealthy") {
		g.log.Info("the group replaces unhealthy machines by itself: suspend its process ReplaceUnhealthy, so that only the manager does (" + placeAdvanced + ", Suspended processes)")
	}
	return g.info(found), nil
}

// Describe returns the limit of the group as it is now.
func (g *InstanceGroup) Describe(ctx context.Context) (provider.ProviderInfo, error) {
	found, err := g.find(ctx)
	if err != nil {
		return provider.ProviderInfo{}, err
	}
	return g.info(found), nil
}

// Shutdown takes back what the group was asked for and cannot launch, so that no machine appears when nobody is there to use it. It removes no instance.
func (g *InstanceGroup) Shutdown(ctx context.Context) error {
	if g.api.scaling == nil { // Init failed, or was never called
		return nil
	}
	defer g.machines.close()
	g.mu.Lock()
	failing := g.trouble != nil
	g.mu.Unlock()
	if !failing {
		return nil
	}
	_, err := g.takeBack(ctx)
	return err
}
