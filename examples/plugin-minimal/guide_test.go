package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// The code of docs/plugins.md that this plugin does not need.

type cloudGroup struct {
	Token    secret.Text `json:"token"`
	settings secret.Value[provider.Settings]
	keys     map[string]plugin.Key
}

func (g *cloudGroup) Init(_ context.Context, _ hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.settings = secret.Hide(settings)
	return provider.ProviderInfo{ID: "cloud"}, nil
}

// userData makes the key of an instance, and what its first boot needs.
func (g *cloudGroup) userData(id string) (string, error) {
	key, err := plugin.NewKey(id)
	if err != nil {
		return "", err
	}
	g.keys[id] = key
	return "ssh_authorized_keys: [" + key.Public + "]", nil
}

func (g *cloudGroup) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	info := provider.ConnectInfo{ConnectorConfig: g.settings.Reveal().ConnectorConfig, ID: id}
	g.keys[id].Use(&info.ConnectorConfig)
	return info, nil
}

// TestGuidesGroup: the code of the guide keeps its secrets, and a key that the operator set.
func TestGuidesGroup(t *testing.T) {
	g := cloudGroup{keys: map[string]plugin.Key{}}
	if err := json.Unmarshal([]byte(`{"token": "the-token"}`), &g); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Init(t.Context(), nil, provider.Settings{ConnectorConfig: provider.ConnectorConfig{Password: "the-password"}}); err != nil {
		t.Fatal(err)
	}
	data, err := g.userData("i-1")
	if err != nil || !strings.Contains(data, "ssh-ed25519 ") {
		t.Fatalf("%q, %v", data, err)
	}
	info, err := g.ConnectInfo(t.Context(), "i-1")
	if err != nil || info.Password != "the-password" || g.Token.Reveal() != "the-token" {
		t.Errorf("%v, %v", info, err)
	}
	shown := fmt.Sprintf("%+v %#v %v", g, g, info)
	for _, word := range []string{"the-token", "the-password", "PRIVATE"} {
		if strings.Contains(shown, word) {
			t.Errorf("%q is shown: %s", word, shown)
		}
	}
}
