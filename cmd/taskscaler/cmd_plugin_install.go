package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/cosign"
	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/oci"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

func newPluginInstall(env environment) *cobra.Command {
	var path, dir, keyFile string
	var update bool
	cmd := &cobra.Command{
		Use:   "install [PLUGIN…]",
		Short: "Install plugins from an OCI registry",
		Long: "install takes registry/repository/name[:version] and installs the newest version that matches into a plugin folder, the first of\n" +
			"$TASKSCALER_PLUGIN_PATH or else ~/.config/taskscaler/plugins. Everything that is downloaded is checked against its digest, and a file that is no\n" +
			"plugin for taskscaler is not installed. Logins are those of `docker login`. A registry on localhost is spoken to without TLS.\n\n" +
			"With --config, it installs the plugins of the file that name a registry or a repository, and writes version, sum and digest into the lock file beside it\n" +
			"(" + setup.LockFile + "). What the lock has is installed in that version and with those bytes; --update takes the newest that matches.\n\n" +
			"With --key, only what this key has signed is installed: cosign.pub, as `cosign generate-key-pair` writes it. With --config, the key is written into the lock file,\n" +
			"and holds for later installs without --key. Another key is refused, unless --update is given too.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 wrong usage.",
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == cmd.Flags().Changed("config") {
				return errors.New("name the plugins as registry/repository/name[:version], or give --config, and not both")
			}
			if cmd.Flags().Changed("key") && keyFile == "" { // an empty variable of a script must not turn the check off
				return errors.New("--key is empty: give the file of a public key, cosign.pub")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, err := sourcesOf(args)
			if err != nil {
				return usage(cmd, err)
			}
			how, err := newInstallation(env, dir, update, keyFile)
			if err != nil {
				return failed(err)
			}
			soon, _, stop := signals(cmd.Context(), endings()...) // so that no part of a plugin is left behind
			defer stop()
			if len(args) == 0 {
				err = installOf(soon, env, path, how)
			}
			for _, s := range sources {
				if err == nil {
					_, err = install(soon, env, s, oci.Pin{Key: how.key}, how.dir)
				}
			}
			if err != nil && soon.Err() != nil {
				err = fmt.Errorf("the installation was %w", context.Cause(soon))
			}
			return failed(err)
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "install the plugins of this config.toml, and write its lock file")
	cmd.Flags().StringVar(&dir, "dir", "", "the plugin folder")
	cmd.Flags().BoolVar(&update, "update", false, "with --config: take the newest versions that match, and not those of the lock file")
	cmd.Flags().StringVar(&keyFile, "key", "", "install only what this public key of cosign has signed")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagFilename("key", "pub", "pem")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

// sourcesOf reads the arguments before anything is installed.
func sourcesOf(args []string) ([]plugin.Source, error) {
	var sources []plugin.Source
	for _, text := range args {
		s, err := plugin.ParseSource(text)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// installation is how plugins are installed.
type installation struct {
	dir    string
	update bool
	key    *cosign.Key // nil: that of the lock file, if there is one
}

// newInstallation chooses the plugin folder if dir is empty, and reads the key if keyFile is not.
func newInstallation(env environment, dir string, update bool, keyFile string) (how installation, err error) {
	how = installation{dir: dir, update: update}
	if dir == "" {
		folders := plugin.DefaultFindOptions(env.getenv).Dirs
		folders = slices.DeleteFunc(folders, func(d string) bool { return d == "" })
		if len(folders) == 0 {
			return how, errors.New("there is no plugin folder: set TASKSCALER_PLUGIN_PATH or HOME, or give --dir")
		}
		how.dir = folders[0]
	}
	if how.dir, err = filepath.Abs(how.dir); err != nil {
		return how, fmt.Errorf("the plugin folder: %w", err)
	}
	if keyFile != "" {
		how.key, err = cosign.ReadKey(keyFile)
	}
	return how, err
}

func install(ctx context.Context, env environment, s plugin.Source, pin oci.Pin, dir string) (oci.Installed, error) {
	got, err := oci.Install(ctx, s, pin, dir)
	if err != nil {
		return got, err
	}
	signed := ""
	if pin.Key != nil {
		signed = "  signed by " + pin.Key.Fingerprint()
	}
	line(env.stdout, "%s  %s  sha256 %s  %s%s", s, got.Version, got.SHA256, got.Path, signed)
	if err := plugin.CheckPath(got.Path); err != nil {
		line(env.stderr, "taskscaler: warning: %s", err.Error())
	}
	return got, nil
}

// installOf installs the plugins of a configuration and writes its lock file.
func installOf(ctx context.Context, env environment, path string, how installation) error {
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
		pin := oci.Pin{}
		if pin.Key, err = keyOf(lock, name, how); err != nil {
			return err
		}
		if locked, in := lock.Find(name); in && !how.update {
			pin.Digest, pin.SHA256 = locked.Digest, locked.SHA256
			if plugin.IsVersion(locked.Version) {
				s.Constraint = locked.Version
			}
		}
		got, err := install(ctx, env, s, pin, how.dir)
		if err != nil {
			return err
		}
		lock.Set(name, got.Version, got.SHA256, got.Digest)
		if pin.Key != nil {
			lock.SetKey(name, pin.Key.Text())
		}
	}
	if len(done) == 0 {
		return fmt.Errorf("no plugin of %s names a registry or a repository: write plugin = \"registry/repository/name:version\"", file.Path)
	}
	return lock.Write()
}

// keyOf returns the key that must have signed a plugin: that of the lock file, which --key must not contradict, or that of --key.
func keyOf(lock *setup.Lock, name string, how installation) (*cosign.Key, error) {
	text := lock.Key(name)
	if text == "" || how.update && how.key != nil {
		return how.key, nil
	}
	locked, err := cosign.ParseKey(lock.Path, text)
	if err != nil {
		return nil, fmt.Errorf("plugin %q: %w", name, err)
	}
	if how.key != nil && !how.key.Equal(locked) {
		return nil, fmt.Errorf("plugin %q: %s has the key %s for it, and %s is another one (%s): leave --key out, or take the new key with --update",
			name, lock.Path, locked.Fingerprint(), how.key.From, how.key.Fingerprint())
	}
	return locked, nil
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
	var bundles []string
	cmd := &cobra.Command{
		Use:   "push PLUGIN:VERSION FILE…",
		Short: "Put a plugin into an OCI registry",
		Long: "push puts the executables of one version into registry/repository/name, one for each platform, for `plugin install`. The headers of the files name their\n" +
			"platforms. A version that is there with other bytes is not replaced. Logins are those of `docker login`.\n\n" +
			"With --bundle, the signatures of the files are put beside them; each is found by the sum of the file that it signs:\n" +
			"    cosign sign-blob --key cosign.key --bundle FILE.bundle FILE\n" +
			"To sign what is there already, push the same files again with --bundle.\n\n" +
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
			digest, err := oci.Push(cmd.Context(), s, args[1:], bundles)
			if err != nil {
				return failed(err)
			}
			line(env.stdout, "%s:%s  %s", s, strings.TrimPrefix(s.Constraint, ":"), digest)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&bundles, "bundle", nil, "a file with the signature of a FILE by `cosign sign-blob`; repeat it for each")
	_ = cmd.MarkFlagFilename("bundle")
	return cmd
}
