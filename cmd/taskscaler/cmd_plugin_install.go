package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/oci"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

func newPluginInstall(env environment) *cobra.Command {
	var path, dir string
	var update bool
	cmd := &cobra.Command{
		Use:   "install [PLUGIN…]",
		Short: "Install plugins from an OCI registry",
		Long: "install takes registry/repository/name[:version] and installs the newest version that matches into a plugin folder, the first of\n" +
			"$TASKSCALER_PLUGIN_PATH or else ~/.config/taskscaler/plugins. Everything that is downloaded is checked against its digest, and a file that is no\n" +
			"plugin for taskscaler is not installed. Logins are those of `docker login`. A registry on localhost is spoken to without TLS.\n\n" +
			"With --config, it installs the plugins of the file that name a registry or a repository, and writes version, sum and digest into the lock file beside it\n" +
			"(" + setup.LockFile + "). What the lock has is installed in that version and with those bytes; --update takes the newest that matches.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 wrong usage.",
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == cmd.Flags().Changed("config") {
				return errors.New("name the plugins as registry/repository/name[:version], or give --config, and not both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				folders := plugin.DefaultFindOptions(env.getenv).Dirs
				folders = slices.DeleteFunc(folders, func(d string) bool { return d == "" })
				if len(folders) == 0 {
					return failed(errors.New("there is no plugin folder: set TASKSCALER_PLUGIN_PATH or HOME, or give --dir"))
				}
				dir = folders[0]
			}
			if len(args) == 0 {
				return failed(installOf(cmd.Context(), env, path, dir, update))
			}
			for _, text := range args {
				s, err := plugin.ParseSource(text)
				if err != nil {
					return usage(cmd, err)
				}
				if _, err := install(cmd.Context(), env, s, oci.Pin{}, dir); err != nil {
					return failed(err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "install the plugins of this config.toml, and write its lock file")
	cmd.Flags().StringVar(&dir, "dir", "", "the plugin folder")
	cmd.Flags().BoolVar(&update, "update", false, "with --config: take the newest versions that match, and not those of the lock file")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

func install(ctx context.Context, env environment, s plugin.Source, pin oci.Pin, dir string) (oci.Installed, error) {
	got, err := oci.Install(ctx, s, pin, dir)
	if err != nil {
		return got, err
	}
	line(env.stdout, "%s  %s  sha256 %s  %s", s, got.Version, got.SHA256, got.Path)
	if err := plugin.CheckPath(got.Path); err != nil {
		line(env.stderr, "taskscaler: warning: %s", err.Error())
	}
	return got, nil
}

// installOf installs the plugins of a configuration and writes its lock file.
func installOf(ctx context.Context, env environment, path, dir string, update bool) error {
	file, err := load(path, env.stderr)
	if err != nil {
		return err
	}
	lock, err := setup.OpenLock(file.Path)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, name := range pluginsOf(file) {
		s, err := plugin.ParseSource(name)
		if err != nil || done[name] { // a bare name or a path is installed by hand
			continue
		}
		done[name] = true
		var pin oci.Pin
		if locked, in := lock.Find(name); in && !update {
			pin = oci.Pin{Digest: locked.Digest, SHA256: locked.SHA256}
			if plugin.IsVersion(locked.Version) {
				s.Constraint = locked.Version
			}
		}
		got, err := install(ctx, env, s, pin, dir)
		if err != nil {
			return err
		}
		lock.Set(name, got.Version, got.SHA256, got.Digest)
	}
	if len(done) == 0 {
		return fmt.Errorf("no plugin of %s names a registry or a repository: write plugin = \"registry/repository/name:version\"", file.Path)
	}
	return lock.Write()
}

func pluginsOf(file *config.File) (names []string) {
	for _, r := range file.Runners {
		if r.Autoscaler != nil && r.Autoscaler.Plugin != "" {
			names = append(names, r.Autoscaler.Plugin)
		}
	}
	return names
}

func newPluginPush(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "push PLUGIN:VERSION FILE…",
		Short: "Put a plugin into an OCI registry",
		Long: "push puts the executables of one version into registry/repository/name, one for each platform, for `plugin install`. The headers of the files name their\n" +
			"platforms. A version that is there with other bytes is not replaced. Logins are those of `docker login`.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 wrong usage.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("name the plugin and its files: " + cmd.CommandPath() + " registry/repository/name:1.5.1 FILE…")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := plugin.ParseSource(args[0])
			if err != nil {
				return usage(cmd, err)
			}
			digest, err := oci.Push(cmd.Context(), s, args[1:])
			if err != nil {
				return failed(err)
			}
			line(env.stdout, "%s:%s  %s", s, strings.TrimPrefix(s.Constraint, ":"), digest)
			return nil
		},
	}
}
