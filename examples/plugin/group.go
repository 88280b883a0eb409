package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
	"github.com/taskscaler/taskscaler/pkg/secret"

	"github.com/taskscaler/taskscaler/examples/plugin/cloud"
	"github.com/taskscaler/taskscaler/examples/plugin/local"
)

// Group is a group of machines. Its exported fields are the keys of plugin_config.
type Group struct {
	Name     string            `json:"name"`               // marks the machines of the group, and begins their names
	Max      int               `json:"max_size,omitempty"` // the most machines; 0: no limit that the group knows of
	AtOnce   int               `json:"at_once,omitempty"`  // calls at the same time; 0: 5
	Labels   map[string]string `json:"labels,omitempty"`   // further labels of each machine
	Dir      string            `json:"dir,omitempty"`      // folder of the machines on this computer; default: "shed-machines"
	Endpoint string            `json:"endpoint,omitempty"` // URL of an HTTP API; then dir is not used
	Token    secret.Text       `json:"token,omitzero"`     // of the API
	Timeout  provider.Duration `json:"timeout,omitempty"`  // of one call of the API; 0: 30s

	settings secret.Value[provider.Settings]
	log      *slog.Logger
	names    pluginkit.Names
	labels   pluginkit.Labels // mark the machines of the group
	key      plugin.Key
	states   *pluginkit.States
	cloud    machines
}

// machines is what the group needs of a cloud. Errors have the kinds of package provider.
type machines interface {
	List(ctx context.Context, labels pluginkit.Labels) ([]cloud.Machine, error) // all of them, or an error
	Get(ctx context.Context, id string) (cloud.Machine, error)                  // KindNotFound for an unknown id
	Create(ctx context.Context, spec cloud.Spec) error                          // does not wait until the machine runs
	Delete(ctx context.Context, id string) error                                // KindNotFound for an unknown id
	Close()
}

var (
	_ provider.InstanceGroup = (*Group)(nil)
	_ provider.Heartbeater   = (*Group)(nil)
)

// Init checks the configuration and lists the machines, to see whether the cloud answers.
func (g *Group) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = pluginkit.Slog(log), secret.Hide(settings)
	if err := g.check(); err != nil {
		return provider.ProviderInfo{}, err
	}
	id, keyDir := "shed/"+strings.TrimPrefix(filepath.ToSlash(cmp.Or(g.Endpoint, g.Dir)), "/")+"/"+g.Name, settings.StateDir
	if g.Endpoint != "" {
		g.cloud = cloud.NewClient(g.Endpoint, g.Token, g.Timeout.Std())
	} else {
		here, err := local.Open(g.Dir)
		if err != nil {
			return provider.ProviderInfo{}, err
		}
		g.cloud, keyDir = here, cmp.Or(keyDir, g.Dir)
	}
	var err error
	if g.key, err = plugin.KeyIn(keyDir, settings.ConnectorConfig, g.Name); err != nil {
		return provider.ProviderInfo{}, err
	}
	_, err = g.cloud.List(ctx, g.labels)
	return provider.ProviderInfo{ID: id, MaxSize: g.Max}, err
}

// check returns all faults of the configuration in one error, and fills in the defaults.
func (g *Group) check() error {
	var f pluginkit.Faults
	g.names = pluginkit.Names{Prefix: g.Name}
	f.Check("name", g.names.Check())
	f.AtLeast("max_size", g.Max, 0)
	f.AtLeast("at_once", g.AtOnce, 0)
	f.NotNegative("timeout", g.Timeout)
	if g.Endpoint != "" {
		f.Check("endpoint", cloud.CheckEndpoint(g.Endpoint))
		if g.Token.Empty() {
			f.Add("token", "is missing: the API needs one")
		}
	}
	if err := f.Err(); err != nil {
		return err
	}
	var err error
	if g.labels, err = pluginkit.GroupLabels(g.Name); err == nil {
		_, err = g.labels.With(g.Labels)
	}
	f.Check("labels", err)
	dir, err := filepath.Abs(cmp.Or(g.Dir, "shed-machines"))
	f.Check("dir", err)
	g.Dir, g.AtOnce = dir, cmp.Or(g.AtOnce, 5)
	g.states = pluginkit.NewStates(cloud.States, provider.StateCreating, func(word string) {
		g.log.Warn("the cloud has a state that this plugin does not know", "state", word)
	})
	return f.Err()
}

// Update lists all machines of the group, or returns an error.
func (g *Group) Update(ctx context.Context, update func(id string, state provider.State)) error {
	list, err := g.cloud.List(ctx, g.labels)
	if err != nil {
		return err
	}
	for _, m := range list {
		if g.labels.Own(m.Labels) { // a filter that the cloud ignores must not give us the machines of others
			update(m.ID, g.states.Of(m.State))
		}
	}
	return nil
}

// Increase creates machines. With an error it returns how many were accepted before.
func (g *Group) Increase(ctx context.Context, delta int) (int, error) {
	room, err := g.room(ctx, delta)
	if err != nil {
		return 0, err
	}
	labels, err := g.labels.With(g.Labels)
	if err != nil {
		return 0, err
	}
	n, err := pluginkit.Times(ctx, room, g.AtOnce, func(ctx context.Context, _ int) error {
		return g.cloud.Create(ctx, cloud.Spec{Name: g.names.New(), Labels: labels, AuthorizedKey: g.key.Public})
	})
	if err == nil && room < delta {
		err = provider.Errorf(provider.KindQuota, "max_size allows %d machines", g.Max)
	}
	return n, err
}

// room returns how many of delta machines max_size allows. A cloud that has a limit of its own needs no such method.
func (g *Group) room(ctx context.Context, delta int) (int, error) {
	if g.Max == 0 {
		return delta, nil
	}
	list, err := g.cloud.List(ctx, g.labels)
	return min(delta, max(g.Max-len(list), 0)), err
}

// Decrease deletes these machines, if they are the group's. One that is gone counts as deleted.
func (g *Group) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return pluginkit.Each(ctx, ids, g.AtOnce, func(ctx context.Context, id string) error {
		_, err := g.own(ctx, id)
		if err == nil {
			err = g.cloud.Delete(ctx, id)
		}
		return pluginkit.Gone(err)
	})
}

// own returns a machine of the group. One of somebody else is not found.
func (g *Group) own(ctx context.Context, id string) (cloud.Machine, error) {
	m, err := g.cloud.Get(ctx, id)
	if err == nil && !g.labels.Own(m.Labels) {
		err = provider.Errorf(provider.KindNotFound, "machine %s is not one of the group %s", id, g.Name)
	}
	return m, err
}

// ConnectInfo says how to reach a machine. What the operator set wins.
func (g *Group) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	m, err := g.own(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	if m.Address == "" {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindTransient, "machine %s has no address yet", id)
	}
	info := provider.ConnectInfo{ID: id, InternalAddr: m.Address, ConnectorConfig: provider.ConnectorConfig{Username: cloud.User, OS: m.OS, Arch: m.Arch}}
	if m.HostKey != "" {
		info.HostKeys = []string{m.HostKey}
	}
	info = pluginkit.Connect(g.settings.Reveal(), info)
	g.key.Use(&info.ConnectorConfig)
	return info, nil
}

// Heartbeat finds out whether a machine that should run accepts a connection.
func (g *Group) Heartbeat(ctx context.Context, id string) error {
	m, err := g.own(ctx, id)
	if err != nil || m.Address == "" {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Address)
	if err != nil {
		return provider.Errorf(provider.KindTransient, "machine %s does not answer: %w", id, err) // failure_threshold of them make it unhealthy
	}
	return conn.Close()
}

// Shutdown releases what Init acquired. The machines stay.
func (g *Group) Shutdown(context.Context) error {
	if g.cloud != nil {
		g.cloud.Close()
	}
	return nil
}
