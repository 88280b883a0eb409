package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taskscaler/taskscaler/internal/nearest"
)

// usage returns the error for wrong usage of a command. The exit code of exec, ssh and tunnel is that of a command that was not run.
func usage(cmd *cobra.Command, err error) *exitError {
	code := exitUsage
	if slices.Contains([]string{"exec", "ssh", "tunnel"}, cmd.Name()) {
		code = execFailed
	}
	about := cmd
	if cmd.Name() == "help" { // its own help says nothing about commands
		about = cmd.Root()
	}
	return &exitError{code: code, err: fmt.Errorf("%w (see %s --help)", err, about.CommandPath())}
}

// notEmpty refuses a flag with an empty value. For example, --key "$JOB" is empty if JOB is not set, and would change the question.
func notEmpty(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && err == nil {
			err = usage(cmd, fmt.Errorf("--%s is empty: give it a value, or remove it", f.Name))
		}
	})
	return err
}

// exclusive refuses a command line with both flags.
func exclusive(cmd *cobra.Command, a, b string) error {
	if cmd.Flags().Changed(a) && cmd.Flags().Changed(b) {
		return usage(cmd, fmt.Errorf("--%s and --%s exclude each other: use one of them", a, b))
	}
	return nil
}

// required refuses a command line without the flag. what says what to give.
func required(cmd *cobra.Command, name, what string) error {
	if cmd.Flags().Changed(name) {
		return nil
	}
	return usage(cmd, fmt.Errorf("--%s is missing: give %s", name, what))
}

// noArguments refuses arguments and names the flag that was probably meant. flag may be empty.
func noArguments(flag string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case flag != "" && len(args) == 1 && !cmd.Flags().Changed(flag):
			return fmt.Errorf("unexpected argument %q: did you mean --%s %s?", args[0], flag, args[0])
		}
		return fmt.Errorf("unexpected argument %q: %s takes only flags", args[0], cmd.CommandPath())
	}
}

// unknownCommand is the check of the arguments of a command that only has subcommands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	names := commandNames(cmd)
	remedy := nearest.Remedy(args[0], names, cmd.CommandPath()+" --help")
	if !strings.HasPrefix(remedy, "did you mean") { // however many there are
		remedy = "write one of: " + strings.Join(names, ", ")
	}
	return fmt.Errorf("unknown command %q: %s", args[0], remedy)
}

// strictHelpers makes the commands that cobra adds, help and completion, refuse words that they do not know.
func strictHelpers(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			show := c.Run
			c.Args, c.Run = knownTopic, nil
			c.RunE = func(c *cobra.Command, args []string) error { show(c, args); return nil }
		case "completion":
			c.Args, c.RunE = unknownCommand, func(c *cobra.Command, _ []string) error {
				return usage(c, errors.New("name the shell: "+strings.Join(commandNames(c), ", ")))
			}
			for _, shell := range c.Commands() {
				shell.Args = noArguments("")
			}
		}
	}
}

// knownTopic refuses a topic of help that is no command.
func knownTopic(cmd *cobra.Command, args []string) error {
	at := cmd.Root()
	for _, word := range args {
		found := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == word })
		if found < 0 {
			return unknownCommand(at, []string{word})
		}
		at = at.Commands()[found]
	}
	return nil
}

// commandNames returns the names of the commands of cmd that people use.
func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
	}
	return names
}

// plainFlagError rewrites an error of the flag parser, which speaks of Go's types and functions.
func plainFlagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		name, dashes := unknown.GetSpecifiedName(), "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		text := fmt.Sprintf("unknown flag %s%s", dashes, name)
		if near := nearest.Guess(name, flagNames(cmd)); near != "" && dashes == "--" {
			text += ": " + nearest.DidYouMean("--"+near)
		}
		return errors.New(text)
	case errors.As(err, &missing):
		return fmt.Errorf("--%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return fmt.Errorf("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(), wanted(invalid.GetFlag().Value.Type()))
	}
	return err
}

func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// wanted describes the values of a type of flag.
func wanted(kind string) string {
	switch kind {
	case "int", "int64":
		return "a whole number"
	case "uint64", "uint":
		return "a whole number that is not negative"
	case "float64":
		return "a number"
	case "duration":
		return "a duration such as 90s or 1h30m"
	case "bool":
		return "true or false"
	case "intSlice":
		return "a list of whole numbers such as 1,2,4"
	}
	return "a valid value"
}

// atLeast refuses a whole number below least, if the flag was given.
func atLeast(cmd *cobra.Command, least int, names ...string) error {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		if n, err := strconv.Atoi(f.Value.String()); err == nil && n < least {
			return usage(cmd, fmt.Errorf("--%s is %d: give a number of at least %d", name, n, least))
		}
	}
	return nil
}

// positive refuses a duration of zero or less, if the flag was given.
func positive(cmd *cobra.Command, name string) error {
	f := cmd.Flags().Lookup(name)
	if !f.Changed {
		return nil
	}
	if d, err := time.ParseDuration(f.Value.String()); err == nil && d <= 0 {
		return usage(cmd, fmt.Errorf("--%s is %s: give a positive duration, or remove it for no limit", name, d))
	}
	return nil
}

// checkFlags does for every command what no command should have to remember.
func checkFlags(cmd *cobra.Command, _ []string) error {
	if slices.Contains([]string{"help", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, cmd.Name()) ||
		strings.HasPrefix(cmd.CommandPath(), "taskscaler completion") {
		return nil
	}
	return notEmpty(cmd)
}
