package fake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"golang.org/x/crypto/ssh"
)

// defaultLifeLimit is the default of life_limit. It ends forgotten instances.
const defaultLifeLimit = time.Hour

// InstanceGroup is a group of instances on this machine. Its exported fields are the keys of plugin_config. The keys of the model are on the
// same level. All are optional.
type InstanceGroup struct {
	Name         string              `json:"name,omitempty"`           // name of the group, and part of the ids of its instances. Default: "fake".
	Dir          string              `json:"dir,omitempty"`            // folder of the group. Default: ".taskscaler-fake/<name>" in the working directory.
	RecordDir    string              `json:"record_dir,omitempty"`     // folder for records, which stay after their instance is gone. Default: none.
	Seed         uint64              `json:"seed,omitempty"`           // seed of all random values. Default: 0.
	GiveHostKeys bool                `json:"give_host_keys,omitempty"` // report the host keys in ConnectInfo; otherwise the manager pins them at first contact
	LifeLimit    cloudmodel.Duration `json:"life_limit,omitzero"`      // an instance ends after this time in any case. Default: 1h.
	cloudmodel.Config

	log      hclog.Logger
	settings secret.Value[provider.Settings]
	access   access // the logins that the operator's credentials allow

	mu       sync.Mutex // guards the fields below; the holder of lock holds it too
	lock     *os.File   // the group's lock while it is held; nil without a folder
	state    groupState
	cloud    *cloudmodel.Cloud
	machines map[string]*folder // by id: the folders of the instances, as last read
	children map[int]struct{}   // processes that were started here and not reaped yet
	scratch  []cloudmodel.Event
}

var (
	_ provider.InstanceGroup = (*InstanceGroup)(nil)
	_ provider.Heartbeater   = (*InstanceGroup)(nil)
)

// validName matches names that can be used as a folder and as a part of an id.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Init reads the configuration and finds the instances of an earlier plugin process. It creates no folder for a new group.
func (g *InstanceGroup) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = log, secret.Hide(settings)
	if g.log == nil {
		g.log = hclog.NewNullLogger()
	}
	if err := g.prepare(); err != nil {
		return provider.ProviderInfo{}, &provider.Error{Kind: provider.KindConfig, Err: err}
	}
	g.machines, g.children = map[string]*folder{}, map[int]struct{}{}
	err := g.locked(ctx, func(time.Time) error { return nil })
	if err != nil {
		return provider.ProviderInfo{}, err
	}
	return provider.ProviderInfo{ID: "fake/" + filepath.ToSlash(g.Dir), MaxSize: g.MaxSize}, nil
}

// prepare checks the configuration, returns all faults in one error, and fills in the defaults.
func (g *InstanceGroup) prepare() error {
	var faults []error
	if g.Name == "" {
		g.Name = "fake"
	}
	if !validName.MatchString(g.Name) {
		faults = append(faults, fmt.Errorf("name: %q is not a valid name: use up to 64 letters, digits, dots, dashes and underscores", g.Name))
	}
	if g.Dir == "" {
		g.Dir = filepath.Join(defaultParent, g.Name)
	}
	for _, path := range []*string{&g.Dir, &g.RecordDir} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			faults = append(faults, fmt.Errorf("find the working directory, set dir to an absolute path: %w", err))
		}
		*path = abs
	}
	g.LifeLimit.Check(func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}, "life_limit")
	if g.LifeLimit.IsZero() {
		g.LifeLimit = cloudmodel.D(defaultLifeLimit)
	}
	if err := g.Config.Validate(); err != nil {
		faults = append(faults, err)
	}
	if err := g.prepareAccess(); err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 && g.RecordDir != "" {
		if err := os.MkdirAll(g.RecordDir, 0o700); err != nil {
			faults = append(faults, fmt.Errorf("record_dir: create the folder, or set one that can be written: %w", err))
		}
	}
	return errors.Join(faults...)
}

// prepareAccess reads the logins that instances accept, beside their own key, from the operator's connector settings.
func (g *InstanceGroup) prepareAccess() error {
	s := g.settings.Reveal()
	g.access = access{Username: s.Username}
	if g.access.Username == "" {
		g.access.Username = "fake"
	}
	if s.Protocol != "" && s.Protocol != provider.ProtocolSSH {
		return fmt.Errorf("connector_config.protocol: this plugin does not support %q: use ssh, or remove this key", s.Protocol)
	}
	if s.UseStaticCredentials && s.Password == "" && len(s.Key) == 0 {
		return errors.New("connector_config.use_static_credentials: no credentials are set: set password or key_path, or remove this key")
	}
	if s.Password != "" {
		g.access.Passwords = append(g.access.Passwords, hashPassword(s.Password))
	}
	if len(s.Key) > 0 {
		signer, err := ssh.ParsePrivateKey(s.Key)
		if err != nil {
			return fmt.Errorf("connector_config.key_path: the key cannot be read, give an unencrypted private key in PEM or OpenSSH format: %w", err)
		}
		g.access.Keys = append(g.access.Keys, string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	}
	return nil
}

// Shutdown does not end instances. If there is none, it removes the folder of the group.
func (g *InstanceGroup) Shutdown(ctx context.Context) error {
	if g.machines == nil { // Init failed, or was never called
		return nil
	}
	return g.locked(ctx, func(time.Time) error {
		removeIfEmpty(g.Dir)
		g.forget()
		g.cloud, g.state = nil, groupState{}
		return nil
	})
}

// ConnectInfo says how to connect to an instance that serves SSH.
func (g *InstanceGroup) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	f, err := g.lookUp(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	if f.ready == nil {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindTransient, "instance %s does not serve SSH yet", id)
	}
	own, err := f.readLogin()
	if err != nil {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindTransient, "instance %s: %w", id, err)
	}
	info := provider.ConnectInfo{ConnectorConfig: g.settings.Reveal().ConnectorConfig, ID: id, ExternalAddr: f.ready.Address, InternalAddr: f.ready.Address}
	info.Protocol = provider.ProtocolSSH
	if info.ProtocolPort == 0 {
		_, port, _ := net.SplitHostPort(f.ready.Address)
		info.ProtocolPort, _ = strconv.Atoi(port)
	}
	fill(&info.OS, runtime.GOOS)
	fill(&info.Arch, runtime.GOARCH)
	own.use(&info.ConnectorConfig)
	if g.GiveHostKeys {
		info.HostKeys = []string{f.ready.HostKey}
	}
	return info, nil
}

func fill(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

// lookUp returns the folder of an instance.
func (g *InstanceGroup) lookUp(ctx context.Context, id string) (f folder, err error) {
	err = g.locked(ctx, func(time.Time) error {
		found := g.machines[id]
		if found == nil {
			return provider.Errorf(provider.KindNotFound, "there is no instance %s in %s", id, g.Dir)
		}
		f = *found
		return nil
	})
	return f, err
}

// sleep imitates a slow call.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a slow call was cancelled: %w", context.Cause(ctx))
	}
}
