package plugin_test

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// rack is a fixed set of machines: the smallest useful provider.
type rack struct {
	Room  string            `json:"room"`  // plugin_config.room
	Hosts map[string]string `json:"hosts"` // plugin_config.hosts: id to address

	settings provider.Settings
}

func (r *rack) Init(_ context.Context, _ hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	if len(r.Hosts) == 0 {
		return provider.ProviderInfo{}, provider.Errorf(provider.KindConfig, "no hosts are configured")
	}
	r.settings = settings
	return provider.ProviderInfo{ID: "rack/" + r.Room, MaxSize: len(r.Hosts)}, nil
}

func (r *rack) Update(_ context.Context, update func(string, provider.State)) error {
	for id := range r.Hosts {
		update(id, provider.StateRunning)
	}
	return nil
}

func (r *rack) Increase(context.Context, int) (int, error) {
	return 0, provider.Errorf(provider.KindQuota, "a rack cannot grow")
}

func (r *rack) Decrease(_ context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return nil, provider.Errorf(provider.KindConfig, "a rack cannot shrink")
}

func (r *rack) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	addr, ok := r.Hosts[id]
	if !ok {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindNotFound, "there is no host %q", id)
	}
	return provider.ConnectInfo{ConnectorConfig: r.settings.ConnectorConfig, ID: id, InternalAddr: addr}, nil
}

func (r *rack) Shutdown(context.Context) error { return nil }

// A plugin's main is a single call: `plugin.Main(&rack{}, version)`. Here the plugin is run in this process instead, with the
// configuration that taskscaler would hand over.
func Example() {
	version := plugin.VersionInfo{Name: "fleeting-plugin-rack", Version: "1.0.0"}
	_ = func() { plugin.Main(&rack{}, version) } // the whole of main

	group := &rack{}
	if err := plugin.Configure(group, []byte(`{"room": "b12", "hosts": {"h1": "10.0.0.7"}}`)); err != nil {
		fmt.Println(err)
		return
	}
	info, err := group.Init(context.Background(), hclog.NewNullLogger(), provider.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	at, err := group.ConnectInfo(context.Background(), "h1")
	fmt.Println(version, info.ID, at.InternalAddr, err)
	fmt.Println(plugin.Configure(group, []byte(`{"rom": "b12"}`)))
	// Output:
	// 1.0.0 rack/b12 10.0.0.7 <nil>
	// config: plugin_config: unknown key "rom" (did you mean "room"?)
}
