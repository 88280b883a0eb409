// Package setup converts a runner of a config.toml into the arguments of the library. So an embedder can start a manager from the file that
// its users already have:
//
//	file, report, err := config.Load("config.toml")            // report.Err() returns every fault of the file
//	runner := file.Runners[0]
//	cfg, err := setup.Config(runner)                            // limits, policies, deadlines, connector settings
//	launch, err := setup.Plugin(file, runner, plugin.DefaultFindOptions(os.Getenv))
//	group, err := plugin.Launch(ctx, launch)
//	state, err := setup.StateOptions(runner, os.Getenv)         // the key of an encrypted state
//	store, err := statestore.OpenBolt(setup.StateDir(runner, ""), state)
//	manager, err := taskscaler.New(ctx, group, cfg, taskscaler.WithStore(store))
//
// The taskscaler command uses the same functions.
package setup
