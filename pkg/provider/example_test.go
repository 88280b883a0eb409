package provider_test

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// rack is a fixed set of machines: the smallest useful provider.
type rack struct {
	Room  string            `json:"room"`  // plugin_config.room
	Hosts map[string]string `json:"hosts"` // plugin_config.hosts: id to address

	settings secret.Value[provider.Settings] // printing the group does not show the password
}

var _ provider.InstanceGroup = (*rack)(nil)

func (r *rack) Init(_ context.Context, _ hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	if len(r.Hosts) == 0 {
		return provider.ProviderInfo{}, provider.Errorf(provider.KindConfig, "no hosts are configured: set hosts in plugin_config")
	}
	r.settings = secret.Hide(settings)
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
	return provider.ConnectInfo{ConnectorConfig: r.settings.Reveal().ConnectorConfig, ID: id, InternalAddr: addr}, nil
}

func (r *rack) Shutdown(context.Context) error { return nil }

// A whole provider: a fixed set of machines. The caller sees the group's ID, how to reach a machine, and the kind of each failure.
func Example() {
	ctx := context.Background()
	group := &rack{Room: "b12", Hosts: map[string]string{"h1": "10.0.0.7"}}
	settings := provider.Settings{ConnectorConfig: provider.ConnectorConfig{Username: "ci"}}
	info, err := group.Init(ctx, hclog.NewNullLogger(), settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.ID, info.MaxSize)

	machine, err := group.ConnectInfo(ctx, "h1")
	fmt.Println(machine.Username, machine.InternalAddr, err)

	_, err = group.Increase(ctx, 1)
	fmt.Println(err, "- kind:", provider.KindOf(err))
	// Output:
	// rack/b12 1
	// ci 10.0.0.7 <nil>
	// quota: a rack cannot grow - kind: quota
}

// The kind of a failure survives wrapping. An error without a kind is transient.
func ExampleKindOf() {
	err := provider.Errorf(provider.KindCapacity, "no machine of this type is left in zone b")
	fmt.Println(provider.KindOf(fmt.Errorf("grow the group: %w", err)))
	fmt.Println(provider.KindOf(context.DeadlineExceeded))
	fmt.Println(provider.KindOf(nil))
	// Output:
	// capacity
	// transient
	// none
}
