package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

// foundPlugin is a plugin of plugin list, and the first part of plugin info.
type foundPlugin struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // of the folder that it is in
	Path    string `json:"path"`
	SHA256  string `json:"sha256,omitempty"`
	Used    bool   `json:"used"`              // a configuration with this name starts it
	Trusted bool   `json:"trusted"`           // it can be executed, and no other user can replace it
	Problem string `json:"problem,omitempty"` // why it is not trusted
	Why     string `json:"why"`               // why it was found
}

func examine(l plugin.Location) foundPlugin {
	f := foundPlugin{Name: l.Name, Version: l.Version, Path: l.Path, Why: l.Why}
	f.SHA256, _ = plugin.Sum(l.Path) // CheckFile says what is wrong
	err := plugin.CheckFile(l.Path)
	if err == nil {
		err = plugin.CheckPath(l.Path)
	}
	if f.Trusted = err == nil; err != nil {
		f.Problem = err.Error()
	}
	return f
}

func newPluginList(env environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the plugins that are installed",
		Long: "list prints every plugin in the places where a start looks: beside the taskscaler binary, in the plugin folders ($TASKSCALER_PLUGIN_PATH,\n" +
			"$FLEETING_PLUGIN_PATH, ~/.config/taskscaler/plugins), and in $PATH. It starts none. A * marks those that a configuration with that name\n" +
			"starts; a version is shown if the folder tells it. `plugin info` asks the plugin.\n\nExit codes: 0 success, 1 failure, 2 wrong usage.",
		Args: noArguments(""),
		RunE: func(*cobra.Command, []string) error {
			options := plugin.DefaultFindOptions(env.getenv)
			list := []foundPlugin{}
			for _, l := range plugin.Installed(options) {
				f := examine(l)
				used, err := plugin.Find(l.Name, options)
				f.Used = f.Trusted && err == nil && used == l.Path
				list = append(list, f)
			}
			if asJSON {
				return failed(writeJSON(env.stdout, list))
			}
			return failed(printPlugins(env.stdout, list))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printPlugins(w io.Writer, list []foundPlugin) error {
	if len(list) == 0 {
		_, err := io.WriteString(w, "no plugin is installed: docs/plugins.md says how to install one\n")
		return err
	}
	t := newTable(w)
	for _, f := range list {
		mark, version, trusted := "  ", f.Version, "trusted"
		if f.Used {
			mark = "* "
		}
		if version == "" {
			version = "-"
		}
		if !f.Trusted {
			trusted = "NOT TRUSTED"
		}
		t.line(mark+f.Name, "%-10s %-12s %s  %s", version, f.SHA256[:min(12, len(f.SHA256))], trusted, f.Path)
		if f.Problem != "" {
			t.line("", "%s", safetext.Line(f.Problem, 1<<10))
		}
	}
	return t.end()
}

// pluginFlags are the flags of the commands about one plugin.
type pluginFlags struct{ config string }

func (p *pluginFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.config, "config", "", "a config.toml: relative paths and the lock file are those of its folder")
	_ = cmd.MarkFlagFilename("config", "toml")
}

func onePlugin(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one plugin, as in a configuration: " + cmd.CommandPath() + " PLUGIN")
	}
	return nil
}

// locate finds the plugin as a start does. A relative path begins at the folder of the configuration, or at the working directory.
func (p *pluginFlags) locate(env environment, name string) (setup.Located, error) {
	if p.config != "" { // a wrong path would look like a configuration without a lock file
		if _, err := config.Read(p.config); err != nil {
			return setup.Located{}, err
		}
	}
	if strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") {
		abs, err := filepath.Abs(filepath.Join(filepath.Dir(p.config), name))
		if err != nil {
			return setup.Located{}, err
		}
		name = abs
	}
	return setup.Locate(name, p.config, plugin.DefaultFindOptions(env.getenv))
}

func newPluginPath(env environment) *cobra.Command {
	var flags pluginFlags
	cmd := &cobra.Command{
		Use:   "path PLUGIN",
		Short: "Print the file that a start of this plugin executes",
		Long: "path prints the file that a start executes for `plugin = PLUGIN`, and on standard error why it is this one. With --config, the lock file beside the\n" +
			"configuration is used as in a start. It starts nothing.\n\nExit codes: 0 success, 1 it is not installed, or the lock file forbids its start, 2 wrong usage.",
		Args: onePlugin,
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := flags.locate(env, args[0])
			if err != nil {
				return failed(err)
			}
			if err := found.CheckLock(); err != nil {
				return failed(err)
			}
			if _, err := safetext.Fprintf(env.stdout, "%s\n", found.Path); err != nil {
				return failed(err)
			}
			line(env.stderr, "%s", found.Why)
			return nil
		},
	}
	flags.add(cmd)
	return cmd
}

// pluginInfo is the answer of plugin info.
type pluginInfo struct {
	foundPlugin
	About pluginAbout `json:"about"`
}

type pluginAbout struct {
	Name         string   `json:"name"`
	Version      string   `json:"version"`
	Revision     string   `json:"revision,omitempty"`
	Reference    string   `json:"reference,omitempty"`
	Go           string   `json:"go,omitempty"`
	BuiltAt      string   `json:"built_at,omitempty"`
	Platform     string   `json:"platform,omitempty"`
	Protocol     int      `json:"protocol"`
	Capabilities []string `json:"capabilities"`
}

func newPluginInfo(env environment) *cobra.Command {
	var flags pluginFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info PLUGIN",
		Short: "Ask a plugin for its version, protocol and capabilities",
		Long: "info finds the plugin as a start does, and starts it without a configuration, only to see that it speaks taskscaler's protocol and to ask for its\n" +
			"version. The plugin reaches no cloud. If it is no plugin, or one of another program or for another machine, the message says so.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 wrong usage.",
		Args: onePlugin,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := flags.locate(env, args[0])
			if err != nil {
				return failed(err)
			}
			f := examine(found.Location)
			f.Used = true
			options := plugin.LaunchOptions{Path: f.Path, SHA256: f.SHA256, SHA256From: "the sum that was shown"}
			if path, locked, in := found.Lock(); in {
				options.SHA256, options.SHA256From = locked.SHA256, "the sum in "+path
			}
			about, err := plugin.Ask(cmd.Context(), options)
			if err != nil {
				return failed(err)
			}
			info := pluginInfo{f, pluginAbout{
				about.Name, about.Version, about.Revision, about.Reference, about.GoVersion, about.BuiltAt, about.Platform, about.Protocol, append([]string{}, about.Capabilities...),
			}}
			if asJSON {
				return failed(writeJSON(env.stdout, info))
			}
			return failed(printInfo(env.stdout, info))
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printInfo(w io.Writer, i pluginInfo) error {
	t := newTable(w)
	row := func(name, text string) {
		if text != "" {
			t.line(name, "%s", text)
		}
	}
	row("plugin", i.About.Name)
	row("version", i.About.Version)
	row("revision", strings.TrimSpace(i.About.Revision+" "+i.About.Reference))
	row("built", strings.TrimSpace(strings.Join([]string{i.About.BuiltAt, i.About.Go, i.About.Platform}, " ")))
	row("protocol", fmt.Sprintf("taskscaler plugin %d", i.About.Protocol))
	can := strings.Join(i.About.Capabilities, ", ")
	if can == "" {
		can = "none"
	}
	row("capabilities", can)
	row("file", i.Path)
	row("", i.Why)
	row("sha256", i.SHA256)
	return t.end()
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
