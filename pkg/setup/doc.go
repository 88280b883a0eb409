// Package setup turns a runner of a config.toml into what the library takes, so that an embedder starts from the file that its users
// already have:
//
//	file, report, err := config.Load("config.toml")            // every fault of the file at once: report.Err()
//	runner := file.Runners[0]
//	cfg, err := setup.Config(runner)                            // limits, policies, deadlines, connector settings
//	launch, err := setup.Plugin(file, runner, plugin.DefaultFindOptions(os.Getenv))
//	group, err := plugin.Launch(ctx, launch)
//	store, err := statestore.OpenBolt(setup.StateDir(runner, ""), statestore.BoltOptions{})
//	manager, err := taskscaler.New(ctx, group, cfg, taskscaler.WithStore(store))
//
// The taskscaler command starts its managers through the same functions.
package setup
