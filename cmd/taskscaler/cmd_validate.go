package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/internal/daemon"
	"github.com/taskscaler/taskscaler/internal/safetext"
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
			"network and starts nothing. With --files it also makes the checks of this machine that a start makes before it starts a plugin:\n\n" +
			"  the file                     not every user can write it, and nobody else can read its secrets (a warning)\n" +
			"  key_path                     the same, the file can be read, and holds a key that its passphrase decrypts; so does proxy_jump_key_path\n" +
			"  key_passphrase_path          the same as for the file, and it has one line; so has proxy_jump_key_passphrase_path\n" +
			"  winrm_ca_file                not every user can write it, and it holds a certificate\n" +
			"  proxy_jump_known_hosts_path  not every user can write it, and it holds a key of the jump host\n" +
			"  key_file                     it can be read, only by its owner, and holds an age identity (a credential of systemd: only inside its unit)\n" +
			"  plugin                       the plugin is installed, no other user can replace it, and it has the sum of plugin_sha256\n\n" +
			"These checks hold for this machine and the user of this command. Nothing checks plugin_config, state_storage.dir, the group\n" +
			"and the credentials of the provider: only a start finds out. If there is a " + setup.LockFile + " beside the file, the plugins that are installed must be\n" +
			"those of the lock, also without --files.\n\n" +
			"Exit codes: 0 no fault (warnings are possible), 1 a fault, or a file that cannot be read, 2 wrong usage.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the files to check: validate FILE…")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			bad := 0
			for _, path := range args {
				good, err := validate(env, path, fragment, files)
				if err != nil { // of the output
					return failed(unlessUnread(err))
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
	cmd.Flags().BoolVar(&files, "files", false, "also check the files and the plugin that it names on this machine, as a start does")
	return cmd
}

// validate prints all problems of one file and returns whether it can be used. An error is one of the output.
func validate(env environment, path string, fragment, files bool) (good bool, err error) {
	file, report, err := read(path, fragment)
	if err != nil {
		file, report = nil, &config.Report{Problems: []config.Problem{unreadable(path, err)}}
	}
	all := config.Report{Problems: report.Problems}
	if !files && file != nil && !fragment {
		all.Problems = append(all.Problems, setup.CheckLock(file, file.Runners, plugin.DefaultFindOptions(env.getenv))...)
	}
	if files && file != nil {
		all.Problems = append(all.Problems, daemon.CheckAccess(file)...)
		all.Problems = append(all.Problems, setup.CheckFiles(file, file.Runners, plugin.DefaultFindOptions(env.getenv), env.getenv)...)
	}
	var page strings.Builder
	for _, p := range all.Problems {
		line(&page, "%s: %s", p.Severity, safetext.Lines(p.Error()))
	}
	faults, warnings := len(all.Faults()), len(all.Warnings())
	if faults == 0 && file != nil {
		describe(&page, file)
	}
	if faults > 0 && !fragment && isFragment(path, report) {
		line(&page, "note: as a part of a file, %s has no fault: if it is one, use --fragment", path)
	}
	line(&page, "%s: %s, %s", path, words.Count(faults, "fault"), words.Count(warnings, "warning"))
	if _, err = io.WriteString(env.stdout, page.String()); err != nil {
		err = fmt.Errorf("writing the result: %w", err)
	}
	return faults == 0, err
}

// unreadable is the fault of a file that cannot be read.
func unreadable(path string, err error) config.Problem {
	p := config.Problem{Severity: config.Fault, Code: config.CodeFile, Path: path, Message: err.Error()}
	var inFile *fs.PathError
	if errors.As(err, &inFile) {
		p.Message, p.Remedy = "cannot be read: "+inFile.Err.Error(), "give the path of a config.toml that the user of this command can read"
	}
	return p
}

func read(path string, fragment bool) (*config.File, *config.Report, error) {
	if !fragment {
		return config.Load(path)
	}
	data, err := config.Read(path)
	if err != nil {
		return nil, nil, err
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
		for _, asked := range r.Autoscaler.Describe() {
			line(w, "%s: %s", title, asked)
		}
	}
}

// line prints one line, whatever the values contain. The writers that it is for do not fail.
func line(w io.Writer, format string, args ...any) { _, _ = safetext.Fprintf(w, format+"\n", args...) }
