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
	"golang.org/x/crypto/ssh"
)

// defaultLifeLimit ends instances that everybody has forgotten.
const defaultLifeLimit = time.Hour

// InstanceGroup is a group of instances on this machine. Its exported fields are the keys of plugin_config; those of the model are at the
// same level. All are optional.
type InstanceGroup struct {
	Name         string              `json:"name,omitempty"`           // name of the group, part of the instances' ids; default "fake"
	Dir          string              `json:"dir,omitempty"`            // its folder; default ".taskscaler-fake/<name>" in the working directory
	RecordDir    string              `json:"record_dir,omitempty"`     // where records are kept after their instance is gone; default: nowhere
	Seed         uint64              `json:"seed,omitempty"`           // of all chance
	GiveHostKeys bool                `json:"give_host_keys,omitempty"` // tell the instances' SSH host keys; else they are pinned at first contact
	LifeLimit    cloudmodel.Duration `json:"life_limit,omitzero"`      // an instance ends after this time whatever happens; default 1h
	cloudmodel.Config

	log      hclog.Logger
	settings provider.Settings
	access   access // what the operator's credentials let in

	mu       sync.Mutex // guards what follows, and is held by whoever holds the folder's lock
	lock     *os.File   // the group's lock while it is held; nil without a folder
	state    groupState
	cloud    *cloudmodel.Cloud
	machines map[string]*folder // by id: the instances' folders as last seen
	children map[int]struct{}   // processes started here that were not yet reaped
	scratch  []cloudmodel.Event
}

var (
	_ provider.InstanceGroup = (*InstanceGroup)(nil)
	_ provider.Heartbeater   = (*InstanceGroup)(nil)
)

// validName keeps names usable as a folder and as a part of an id.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Init reads the configuration; it makes no folder yet. Instances of an earlier plugin are found again.
func (g *InstanceGroup) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = log, settings
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

// prepare checks the configuration, finds every fault, and fills in the defaults.
func (g *InstanceGroup) prepare() error {
	var faults []error
	if g.Name == "" {
		g.Name = "fake"
	}
	if !validName.MatchString(g.Name) {
		faults = append(faults, fmt.Errorf("name: %q is no name: use up to 64 letters, digits, dots, dashes and underscores", g.Name))
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
			faults = append(faults, fmt.Errorf("record_dir: make the folder, or name one that can be written: %w", err))
		}
	}
	return errors.Join(faults...)
}

// prepareAccess turns the operator's connector settings into what instances accept beside their own password.
func (g *InstanceGroup) prepareAccess() error {
	s := &g.settings
	g.access = access{Username: s.Username}
	if g.access.Username == "" {
		g.access.Username = "fake"
	}
	if s.Protocol != "" && s.Protocol != provider.ProtocolSSH {
		return fmt.Errorf("connector_config.protocol: %q is not served by this plugin: use ssh, or leave it out", s.Protocol)
	}
	if s.UseStaticCredentials && s.Password == "" && len(s.Key) == 0 {
		return errors.New("connector_config.use_static_credentials: there are none: set password or key_path, or leave it out")
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

// Shutdown ends the plugin's part. Instances go on; without any, the group's folder is removed.
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

// ConnectInfo says how to reach an instance that serves SSH.
func (g *InstanceGroup) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	f, err := g.lookUp(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	if f.ready == nil {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindTransient, "instance %s does not serve SSH yet", id)
	}
	own, err := f.readSecret()
	if err != nil {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindTransient, "instance %s: %w", id, err)
	}
	info := provider.ConnectInfo{ConnectorConfig: g.settings.ConnectorConfig, ID: id, ExternalAddr: f.ready.Address, InternalAddr: f.ready.Address}
	info.Protocol = provider.ProtocolSSH
	if info.ProtocolPort == 0 {
		_, port, _ := net.SplitHostPort(f.ready.Address)
		info.ProtocolPort, _ = strconv.Atoi(port)
	}
	fill(&info.OS, runtime.GOOS)
	fill(&info.Arch, runtime.GOARCH)
	fill(&info.Username, own.Username)
	if info.Password == "" && len(info.Key) == 0 {
		info.Password = own.Password
	}
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

// lookUp finds an instance's folder.
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

// sleep realises a slow call.
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
		return fmt.Errorf("a slow call was given up: %w", context.Cause(ctx))
	}
}
