package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

func newPluginLock(env environment) *cobra.Command {
	var path string
	var check bool
	cmd := &cobra.Command{
		Use:   "lock --config FILE",
		Short: "Pin the bytes of a configuration's plugins in a lock file",
		Long: "lock finds each plugin of the configuration, asks it for its version, and writes its version and SHA-256 sum to " + setup.LockFile + " beside the\n" +
			"configuration. As long as this file exists, run, exec and validate accept exactly these bytes, and of several installed versions the\n" +
			"one in the file. Run lock again after an update of a plugin. Other platforms have entries of their own.\n\n" +
			"With --check it writes and starts nothing. It fails if the file is absent, lacks a plugin of the configuration, or if a plugin is not installed\n" +
			"with these bytes. A newer version beside it is no failure.\n\n" +
			"Exit codes: 0 success, 1 failure or, with --check, a difference, 2 wrong usage.",
		Args: noArguments("config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "config", "the runner's config.toml"); err != nil {
				return err
			}
			file, err := load(path, env.stderr)
			switch {
			case err != nil:
				return failed(err)
			case check:
				return failed(checkLock(env, file))
			}
			return failed(lockPlugins(cmd.Context(), env, file))
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the runner's config.toml")
	_ = cmd.MarkFlagFilename("config", "toml")
	cmd.Flags().BoolVar(&check, "check", false, "write nothing, and fail if the plugins are not those of the lock file")
	return cmd
}

func lockPlugins(ctx context.Context, env environment, file *config.File) error {
	lock, changes, err := setup.NewLock(ctx, file, plugin.DefaultFindOptions(env.getenv))
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return fmt.Errorf("%s has no plugin to lock: no runner has a [runners.autoscaler] section", file.Path)
	}
	changed := 0
	var page strings.Builder
	for _, c := range changes {
		if c.Old != c.New {
			changed++
		}
		line(&page, "%s  %s  sha256 %s  %s  (%s)", c.Name, c.New.Version, c.New.SHA256, c.Path, whatChanged(c))
	}
	if changed > 0 {
		if err := lock.Write(); err != nil {
			return err
		}
		line(&page, "%s: %s written", lock.Path, words.Plural(changed, "entry", "entries"))
	}
	return printed(env.stdout, &page)
}

// whatChanged compares an entry with the one before.
func whatChanged(c setup.LockChange) string {
	switch {
	case c.Old == c.New:
		return "unchanged"
	case c.Old == (setup.LockedPlugin{}):
		return "new"
	case c.Old.Version != c.New.Version:
		return "was " + c.Old.Version
	}
	return "other bytes of the same version: was sha256 " + c.Old.SHA256
}

// checkLock prints which plugins are those of the lock file. Its error says which are not.
func checkLock(env environment, file *config.File) error {
	lock, err := setup.ReadLock(file.Path)
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("there is no %s beside %s: run `taskscaler plugin lock`", setup.LockFile, file.Path)
	}
	var page strings.Builder
	var faults []error
	for _, r := range file.Runners {
		if r.Autoscaler == nil {
			continue
		}
		if err := setup.CheckPlugin(file, r, plugin.DefaultFindOptions(env.getenv)); err != nil {
			faults = append(faults, err)
			continue
		}
		entry, _ := lock.Find(r.Autoscaler.Plugin)
		line(&page, "%s  %s  sha256 %s  (as locked)", r.Autoscaler.Plugin, entry.Version, entry.SHA256)
	}
	return errors.Join(printed(env.stdout, &page), errors.Join(faults...))
}

// printed writes a page.
func printed(w io.Writer, page *strings.Builder) error {
	if _, err := io.WriteString(w, page.String()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}
