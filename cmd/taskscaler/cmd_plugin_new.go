package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/cmd/taskscaler/internal/scaffold"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
)

func newPluginNew(env environment) *cobra.Command {
	var p scaffold.Plugin
	cmd := &cobra.Command{
		Use:   "new NAME --module PATH",
		Short: "Write a new plugin that works at once",
		Long: "new writes the module of a plugin with the binary fleeting-plugin-NAME. Its machines are processes on this computer, so that it works at once: replace\n" +
			"them by your cloud. It has unit tests, the conformance suite in process and through the binary, a client of an HTTP API with a server for its tests, a\n" +
			"configuration, and files for CI and releases. The folder must be absent, or empty. After an error nothing is written.\n\n" +
			"Exit codes: 0 the plugin is written, 1 the folder cannot be written, 2 wrong usage, such as a name that cannot be used.",
		Example: "  taskscaler plugin new mycloud --module github.com/you/fleeting-plugin-mycloud",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one plugin: plugin new NAME --module PATH")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name = args[0]
			if err := cmp.Or(notEmpty(cmd), required(cmd, "module", "the path of the plugin's module, such as github.com/you/fleeting-plugin-"+p.Name)); err != nil {
				return err
			}
			return writePlugin(cmd, env, p)
		},
	}
	cmd.Flags().StringVar(&p.Module, "module", "", "path of the plugin's module, such as github.com/you/fleeting-plugin-mycloud")
	cmd.Flags().StringVar(&p.Dir, "dir", "", "folder to write (default fleeting-plugin-NAME in this folder)")
	cmd.Flags().StringVar(&p.Replace, "replace", "", "folder of taskscaler's source, for go.mod: build with it, and not with a release")
	return cmd
}

// release matches the versions that a go.mod can name.
var release = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

func writePlugin(cmd *cobra.Command, env environment, p scaffold.Plugin) (err error) {
	p.Dir = cmp.Or(p.Dir, scaffold.Prefix+p.Name)
	if v := versionInfo().Version; release.MatchString(v) {
		p.Version = v
	}
	if p.Replace != "" {
		if p.Replace, err = sourceFolder(p.Replace); err != nil {
			return failed(err)
		}
	}
	files, err := scaffold.Write(p)
	var wrong *scaffold.NameError
	switch {
	case errors.As(err, &wrong):
		return usage(cmd, err)
	case err != nil:
		return failed(err)
	}
	_, err = safetext.Fprintf(env.stdout, "%s is written to %s: %s\n\nnext:\n\n%s", scaffold.Prefix+p.Name, p.Dir, words.Count(len(files), "file"), safetext.Text(nextSteps(&p)))
	return failed(err)
}

// sourceFolder returns the absolute path of taskscaler's source.
func sourceFolder(path string) (string, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(mod), "module github.com/taskscaler/taskscaler\n") {
		return "", fmt.Errorf("--replace %s is not the folder of taskscaler's source: its go.mod is absent, or that of another module", path)
	}
	return dir, nil
}

// nextSteps are the commands to try the plugin.
func nextSteps(p *scaffold.Plugin) string {
	steps := []string{"go build -o bin/" + scaffold.Prefix + p.Name + " .", "go test ./...", "taskscaler validate config.toml"}
	if p.Replace == "" { // go.sum lacks taskscaler itself
		steps = append([]string{"go mod tidy"}, steps...)
	}
	if p.Dir != "." {
		steps = append([]string{string(safetext.Sprintf("cd %s", p.Dir))}, steps...)
	}
	text := "    " + strings.Join(steps, "\n    ") + "\n"
	if p.Replace == "" {
		text += "\nIf go mod tidy does not find github.com/taskscaler/taskscaler, no release of it is published yet: name a checkout of it with --replace.\n"
	}
	return text
}
