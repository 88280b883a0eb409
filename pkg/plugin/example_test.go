package plugin_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// The whole main function of a plugin. The group here is the reference provider; a plugin of your own passes its own type.
func ExampleMain() {
	plugin.Main(&providertest.Memory{}, plugin.VersionInfo{Name: "fleeting-plugin-memory", Version: "1.0.0"})
}

// The host side: find the plugin, start it, and use it as any group.
func ExampleLaunch() {
	ctx := context.Background()
	path, err := plugin.Find("memory", plugin.DefaultFindOptions(os.Getenv))
	if err != nil {
		fmt.Println(err)
		return
	}
	group, err := plugin.Launch(ctx, plugin.LaunchOptions{
		Path: path, Config: []byte(`{"group": "builders", "max_size": 5}`), Logger: slog.Default(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = group.Close(ctx) }()
	info, err := group.Init(ctx, nil, provider.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.ID, "holds at most", info.MaxSize)
}

// A program that runs a group in its own process fills in the configuration itself.
func ExampleConfigure() {
	group := &providertest.Memory{}
	fmt.Println(plugin.Configure(group, []byte(`{"group": "builders", "max_size": 5}`)))
	fmt.Println(group.Group, group.MaxSize)
	fmt.Println(plugin.Configure(group, []byte(`{"max_sise": 5}`)))
	// Output:
	// <nil>
	// builders 5
	// config: plugin_config: unknown key "max_sise" (did you mean "max_size"?)
}
