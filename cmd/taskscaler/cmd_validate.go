package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

func newValidate(env environment) *cobra.Command {
	var fragment, files bool
	cmd := &cobra.Command{
		Use:   "validate FILE…",
		Short: "Check configuration files and print all faults at once",
		Long: "validate reads each file and prints its faults and warnings, each with line, key and remedy, and what its policies ask for. It needs no\n" +
			"network: it does not check groups and credentials, and files and plugins only with --files.\n\nExit codes: 0 no fault (warnings are possible), 1 a fault, 2 wrong usage.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the files to check: validate FILE…")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			bad, unread := 0, []error{}
			for _, path := range args {
				good, err := validate(env, path, fragment, files)
				switch {
				case errors.Is(err, errWrite):
					return failed(unlessUnread(err))
				case err != nil:
					unread = append(unread, err)
				case !good:
					bad++
				}
			}
			if len(unread) > 0 {
				return failed(errors.Join(unread...))
			}
			if bad > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&fragment, "fragment", false, "the files are parts of a file that begin at [runners.…]")
	cmd.Flags().BoolVar(&files, "files", false, "also check that the files named in the configuration can be read, and that its plugins are installed and no other user can replace them")
	return cmd
}

// errWrite marks an error of the output, which ends the command. An error of one file does not.
var errWrite = errors.New("writing the result")

// validate prints all problems of one file and returns whether it can be used.
func validate(env environment, path string, fragment, files bool) (good bool, err error) {
	file, report, err := read(path, fragment)
	if err != nil {
		return false, err
	}
	all := config.Report{Problems: report.Problems}
	if files && file != nil {
		all.Problems = append(all.Problems, file.CheckFiles().Problems...)
		all.Problems = append(all.Problems, checkPlugins(env, file)...)
		all.Problems = append(all.Problems, checkStateKeys(env, file, all.Problems)...)
	}
	var page strings.Builder
	for _, p := range all.Problems {
		fmt.Fprintf(&page, "%s: %s\n", p.Severity, p.Error())
	}
	faults, warnings := len(all.Faults()), len(all.Warnings())
	if faults == 0 && file != nil {
		describe(&page, file)
	}
	if faults > 0 && !fragment && isFragment(path, report) {
		fmt.Fprintf(&page, "note: as a part of a file, %s has no fault: if it is one, use --fragment\n", path)
	}
	fmt.Fprintf(&page, "%s: %s, %s\n", path, words.Count(faults, "fault"), words.Count(warnings, "warning"))
	if _, err = io.WriteString(env.stdout, page.String()); err != nil {
		err = fmt.Errorf("%w: %w", errWrite, err)
	}
	return faults == 0, err
}

// checkPlugins returns a fault for each plugin that a manager of this user would not find, or refuses because others can replace it.
func checkPlugins(env environment, file *config.File) (faults []config.Problem) {
	find := plugin.DefaultFindOptions(env.getenv)
	for _, r := range file.Runners {
		if r.Autoscaler == nil || r.Autoscaler.Plugin == "" {
			continue
		}
		if err := setup.CheckPlugin(file, r, find); err != nil {
			faults = append(faults, config.Problem{
				Severity: config.Fault, Code: config.CodeFile, Path: file.Path, Line: r.Autoscaler.Line, Key: "runners.autoscaler.plugin", Message: err.Error(),
			})
		}
	}
	return faults
}

// checkStateKeys returns a fault for each key of a state that is readable and is no key. Those that cannot be read are among the known problems. A
// credential of systemd exists only in its unit.
func checkStateKeys(env environment, file *config.File, known []config.Problem) (faults []config.Problem) {
	const key = "runners.autoscaler.state_storage.key_file"
	if slices.ContainsFunc(known, func(p config.Problem) bool { return p.Key == key }) {
		return nil
	}
	for _, r := range file.Runners {
		if r.Autoscaler == nil || r.Autoscaler.StateStorage.KeyFile == "" {
			continue
		}
		if _, err := setup.StateOptions(r, env.getenv); err != nil {
			faults = append(faults, config.Problem{
				Severity: config.Fault, Code: config.CodeFile, Path: file.Path, Line: r.Autoscaler.Line, Key: key, Message: err.Error(),
			})
		}
	}
	return faults
}

func read(path string, fragment bool) (*config.File, *config.Report, error) {
	if !fragment {
		return config.Load(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	file, report := config.ParseFragment(path, data)
	return file, report, nil
}

// isFragment reports whether the file looks like a part of a file: it has no [[runners]], and no fault if it is read as a part. whole is what was
// found in it as a whole file.
func isFragment(path string, whole *config.Report) bool {
	begins := slices.ContainsFunc(whole.Problems, func(p config.Problem) bool { return p.Code == config.CodeLoneRunners })
	if !begins {
		return false
	}
	_, report, err := read(path, true)
	return err == nil && len(report.Faults()) == 0
}

// describe prints what the policies of each runner ask for.
func describe(w io.Writer, file *config.File) {
	titles := map[string]int{}
	for _, r := range file.Runners {
		titles[r.Title()]++
	}
	for _, r := range file.Runners {
		if r.Autoscaler == nil {
			continue
		}
		title := r.Title()
		if titles[title] > 1 { // tell runners of one name apart
			title += fmt.Sprintf(" (runner %d of the file)", r.Index)
		}
		for _, line := range r.Autoscaler.Describe() {
			fmt.Fprintf(w, "%s: %s\n", title, line)
		}
	}
}
