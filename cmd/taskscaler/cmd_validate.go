package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/config"
)

func newValidate(env environment) *cobra.Command {
	var fragment, files bool
	cmd := &cobra.Command{
		Use:   "validate FILE…",
		Short: "Check configuration files and print all faults at once",
		Long: "validate reads each file and prints its faults and warnings, each with line, key and remedy, and what its policies ask for. It needs no\n" +
			"network: it does not check plugins, groups and credentials.\n\nExit codes: 0 no fault (warnings are possible), 1 a fault, 2 wrong usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			bad := 0
			for _, path := range args {
				good, err := validate(env, path, fragment, files)
				if err != nil {
					return failed(err)
				}
				if !good {
					bad++
				}
			}
			if bad > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&fragment, "fragment", false, "the files are parts of a file that begin at [runners.…]")
	cmd.Flags().BoolVar(&files, "files", false, "also check that the files named in the configuration can be read")
	return cmd
}

// validate prints all problems of one file and returns whether it can be used.
func validate(env environment, path string, fragment, files bool) (good bool, err error) {
	file, report, err := read(path, fragment)
	if err != nil {
		return false, err
	}
	problems := report.Problems
	if files && file != nil {
		problems = append(problems, file.CheckFiles().Problems...)
	}
	all := config.Report{Problems: problems}
	for _, p := range all.Problems {
		if _, err := fmt.Fprintf(env.stdout, "%s: %s\n", p.Severity, p.Error()); err != nil {
			return false, err
		}
	}
	faults, warnings := len(all.Faults()), len(all.Warnings())
	if faults == 0 && file != nil {
		describe(env, file)
	}
	_, err = fmt.Fprintf(env.stdout, "%s: %s, %s\n", path, words.Count(faults, "fault"), words.Count(warnings, "warning"))
	return faults == 0, err
}

func read(path string, fragment bool) (*config.File, *config.Report, error) {
	if !fragment {
		return config.Load(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	return nil, config.ValidateFragment(path, data), nil
}

// describe prints what the policies of each runner ask for.
func describe(env environment, file *config.File) {
	for _, r := range file.Runners {
		if r.Autoscaler == nil {
			continue
		}
		for _, line := range r.Autoscaler.Describe() {
			_, _ = fmt.Fprintf(env.stdout, "runner %s: %s\n", r.Label(), line)
		}
	}
}
