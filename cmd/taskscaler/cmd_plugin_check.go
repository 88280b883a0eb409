package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/internal/plugincheck"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// testFlags are the flags of plugin test.
type testFlags struct {
	config, runner, junit                    string
	only                                     []string
	live, noConnect, asJSON, verbose, listed bool
	machines                                 int
	timeout                                  time.Duration
	proxy                                    bool
	answers                                  string
}

func newPluginTest(env environment) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [PLUGIN] --config FILE",
		Short: "Check a plugin against the whole contract, on its real group",
		Long: "test starts the plugin of a runner of the file, or PLUGIN (a name or a path) with that runner's settings, and checks it against the contract.\n" +
			"Without --live it makes and removes nothing. With --live it makes a few machines (never more than --machines at once), checks that they come,\n" +
			"connect and go, kills the plugin, and removes them. Machines that were there before are never removed. Give it a group of its own: a manager\n" +
			"that uses the same group takes its machines for its own.\n\n" +
			"A finding says what was seen, what to change, and why it matters. `plugin test --list` lists the checks; docs/plugins.md tells how to read a report.\n\n" +
			"Exit codes: 0 every check that was made passed, 1 a finding, or the run did not reach its end, 2 wrong usage.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("unexpected argument %q: name at most one plugin", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.listed {
				return failed(listChecks(env.stdout))
			}
			if err := f.usage(cmd); err != nil {
				return err
			}
			return f.run(cmd.Context(), env, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "the runner's config.toml")
	_ = cmd.MarkFlagFilename("config", "toml")
	flags.StringVar(&f.runner, "runner", "", "name or id of a runner, or its position in the file")
	flags.BoolVar(&f.live, "live", false, "make machines and remove them; they may cost money")
	flags.StringSliceVar(&f.only, "only", nil, "make only these checks: ids, separated by commas")
	flags.IntVar(&f.machines, "machines", 3, "how many machines the run may have at once, at least 2")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Minute, "how long a machine may take to appear, to run, or to be gone")
	flags.BoolVar(&f.noConnect, "no-connect", false, "do not connect to a machine")
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON ("+plugincheck.Schema+")")
	flags.StringVar(&f.junit, "junit", "", "also write the report to this file as JUnit XML")
	flags.BoolVar(&f.proxy, "proxy", false, "put a proxy between the plugin and its HTTP API, which fails as a cloud does")
	flags.StringVar(&f.answers, "proxy-answers", "", "a JSON file with the bodies of the proxy's answers, if the plugin must be able to read them")
	flags.BoolVar(&f.verbose, "verbose", false, "print what the plugin logs to standard error")
	flags.BoolVar(&f.listed, "list", false, "list the checks and why each matters, and start nothing")
	return cmd
}

// usage checks the flags that are set.
func (f *testFlags) usage(cmd *cobra.Command) error {
	if err := required(cmd, "config", "the runner's config.toml, whose plugin_config and connector_config are used"); err != nil {
		return err
	}
	var ids []string
	for _, c := range conformance.Checks() {
		ids = append(ids, c.ID)
	}
	for _, id := range f.only {
		if !slices.Contains(ids, id) {
			remedy := "`taskscaler plugin test --list` lists them"
			if meant := nearest.Guess(id, ids); meant != "" {
				remedy = nearest.DidYouMean(meant)
			}
			return usage(cmd, fmt.Errorf("there is no check %q: %s", id, remedy))
		}
	}
	switch {
	case f.answers != "" && !f.proxy:
		return usage(cmd, errors.New("--proxy-answers needs --proxy"))
	case f.machines < 2:
		return usage(cmd, errors.New("--machines is less than 2: a removal must be seen to leave another machine alone"))
	case f.timeout <= 0:
		return usage(cmd, errors.New("--timeout must be more than 0, such as 10m"))
	}
	return nil
}

func listChecks(w io.Writer) error {
	var page strings.Builder
	for _, c := range conformance.Checks() {
		live := ""
		if c.Live {
			live = " (--live)"
		}
		line(&page, "%-22s %s%s\n%22s %s", c.ID, c.Title, live, "", c.Why)
	}
	return printed(w, &page)
}

// run checks the plugin and prints the report.
func (f *testFlags) run(ctx context.Context, env environment, args []string) error {
	launch, cfg, err := f.launch(env, args)
	if err != nil {
		return failed(err)
	}
	var junit *os.File
	if f.junit != "" { // before the run, which may take long
		if junit, err = os.Create(f.junit); err != nil {
			return failed(fmt.Errorf("writing the JUnit report: %w", err))
		}
		defer junit.Close()
	}
	temp, err := os.MkdirTemp("", "taskscaler-plugin-test-")
	if err != nil {
		return failed(fmt.Errorf("making a folder for the run: %w", err))
	}
	defer os.RemoveAll(temp)
	ctx, now, stop := signals(ctx, endings()...)
	defer stop()
	ctx, unread := context.WithCancel(ctx) // nobody reads the report any more
	defer unread()
	o := f.options(env, cfg, unread)
	if f.proxy {
		p, err := f.startProxy(env, temp)
		if err != nil {
			return failed(err)
		}
		defer p.Close()
		launch.Env, o.API = append(slices.Clone(launch.Env), p.Env()...), p
	}
	target, err := plugincheck.New(launch, temp, hostCommand())
	if err != nil {
		return failed(err)
	}
	done := make(chan conformance.Report, 1)
	go func() { done <- conformance.Run(ctx, target, o) }()
	report := plugincheck.Report{Plugin: launch.Path, Live: f.live}
	select {
	case report.Report = <-done:
	case <-now.Done(): // the second signal: the removal of the machines takes too long for somebody
		return failed(errors.New("stopped before the machines of the run were removed: look in the provider what is left of them"))
	}
	if err := f.write(env, report, junit); err != nil {
		return failed(err)
	}
	if report.Count(conformance.Fail)+report.Count(conformance.NotReached) > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// launch returns what to start, and the settings of the runner.
func (f *testFlags) launch(env environment, args []string) (plugin.LaunchOptions, taskscaler.Config, error) {
	file, err := load(f.config, env.stderr)
	if err != nil {
		return plugin.LaunchOptions{}, taskscaler.Config{}, err
	}
	runner, err := oneRunner(file, f.runner)
	if err != nil {
		return plugin.LaunchOptions{}, taskscaler.Config{}, err
	}
	if len(args) > 0 {
		a := *runner.Autoscaler
		if a.Plugin = args[0]; strings.ContainsRune(args[0], filepath.Separator) {
			if a.Plugin, err = filepath.Abs(args[0]); err != nil {
				return plugin.LaunchOptions{}, taskscaler.Config{}, err
			}
		}
		runner.Autoscaler = &a
	}
	launch, err := setup.Plugin(file, runner, plugin.DefaultFindOptions(env.getenv))
	if err != nil {
		return plugin.LaunchOptions{}, taskscaler.Config{}, err
	}
	if f.verbose {
		launch.Logger = slog.New(slog.NewTextHandler(env.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	cfg, err := setup.Config(runner)
	return launch, cfg, err
}

// oneRunner selects the runner whose settings are used.
func oneRunner(file *config.File, selector string) (config.Runner, error) {
	found, err := file.Select(selector)
	if err != nil {
		return config.Runner{}, err
	}
	if len(found) > 1 {
		var names []string
		for _, r := range found {
			names = append(names, setup.Name(r))
		}
		return config.Runner{}, fmt.Errorf("%s has %d runners with [runners.autoscaler]; choose one with --runner: %s", file.Path, len(found), strings.Join(names, ", "))
	}
	return found[0], nil
}

func (f *testFlags) options(env environment, cfg taskscaler.Config, unread func()) conformance.Options {
	o := conformance.Options{
		Settings: provider.Settings{ConnectorConfig: cfg.Connector}, Live: f.live, Only: f.only, Machines: f.machines, Timeout: f.timeout,
	}
	if !f.noConnect {
		o.Dial = func(ctx context.Context, info provider.ConnectInfo) error { return tryConnect(ctx, info, cfg) }
	}
	if f.asJSON {
		return o
	}
	erase := ""
	if t, ok := env.raw.stderr.(*os.File); ok && term.IsTerminal(int(t.Fd())) {
		erase = "\r\x1b[K"
		o.Began = func(c conformance.Check) { _, _ = io.WriteString(env.raw.stderr, erase+"…     "+c.ID) }
	}
	o.Done = func(r conformance.Result) {
		_, _ = io.WriteString(env.raw.stderr, erase)
		noAPI := r.Status == conformance.Skip && strings.HasPrefix(r.ID, "api-") && !f.proxy && len(f.only) == 0
		if !f.verbose && (plugincheck.NotLive(r) || plugincheck.Explained(r) || noAPI) {
			return // the summary counts them
		}
		if _, err := io.WriteString(env.stdout, plugincheck.Line(r)+"\n"); err != nil { // its texts are lines already
			unread() // the run ends, and removes what it made
		}
	}
	return o
}

// tryConnect connects as the manager would, and runs a command that does nothing.
func tryConnect(ctx context.Context, info provider.ConnectInfo, cfg taskscaler.Config) error {
	opts := connector.DialOptions{
		UseExternalAddr: cfg.UseExternalAddr, LegacyAlgorithms: cfg.AllowLegacySSH, GroupExchange: cfg.AllowDHGroupExchange, Jump: cfg.Jump, WinRM: cfg.WinRM,
		PasswordWithoutHostKey: cfg.PasswordWithoutHostKey || info.Password != cfg.Connector.Password,
	}
	if len(info.HostKeys) == 0 {
		opts.PinHostKey = func(string) error { return nil } // first contact, as with the manager
	}
	client, err := connector.Dial(ctx, info, opts)
	if err != nil {
		return err
	}
	return client.Close()
}

// write prints the report.
func (f *testFlags) write(env environment, r plugincheck.Report, junit *os.File) (err error) {
	if junit != nil {
		if err := errors.Join(r.JUnit(junit), junit.Close()); err != nil {
			return fmt.Errorf("writing the JUnit report %s: %w", f.junit, err)
		}
	}
	if f.asJSON {
		return r.JSON(env.stdout)
	}
	_, err = io.WriteString(env.stdout, r.Summary())
	return err
}

// hostCommand returns the command of a host that the run kills. Nil: this program cannot be found again.
func hostCommand() func() *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return func() *exec.Cmd { return exec.Command(self, "plugin", "host-of-a-test") }
}

// newPluginHost is the host that plugin test kills. It is no command for people.
func newPluginHost(env environment) *cobra.Command {
	return &cobra.Command{
		Use: "host-of-a-test", Hidden: true, Args: noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed(plugincheck.Host(cmd.Context(), env.stdin, env.stdout))
		},
	}
}
