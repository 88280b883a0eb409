package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// LaunchOptions says which plugin to run, and how. Only Path is required.
type LaunchOptions struct {
	Path string   // the executable; see Find
	Args []string // arguments; none if the plugin's main function calls Main
	Dir  string   // working directory, to which relative paths in Config refer; empty: that of this process
	// Env is what the plugin's environment has beyond [PassedEnv]: NAME=value sets a variable, NAME passes the one of this process, and PREFIX* all of
	// this process that begin so. See CheckEnv.
	Env    []string
	Config json.RawMessage // plugin_config as JSON; empty: none
	// StateDir is provider.Settings.StateDir for a plugin whose Init gets none. It is created, with mode 0700, before each Init. A relative path refers
	// to the folder of this process. Empty: none.
	StateDir string
	// SHA256, if set, is the SHA-256 sum (hexadecimal) that the executable must have, at each start of a process. The bytes that were summed
	// are executed: they are copied to a private folder, which exists as long as the process.
	SHA256 string
	// SHA256From says where SHA256 comes from, for messages. Empty: "plugin_sha256".
	SHA256From string
	// Version, if set, is the version that the plugin must say it has: "1", "1.5" or "1.5.1". A plugin whose version is none, such as "dev", is accepted with
	// a warning. Init checks it.
	Version string
	// InsecurePath allows an executable that users other than root and the user of this process can replace: see CheckPath. Whoever can
	// replace it can run programs as the user of this process, unless SHA256 is set.
	InsecurePath bool
	Logger       *slog.Logger // receives messages about the plugin and those of the plugin; nil: none
	// Printed, if set, is called with each line that the plugin prints past its logger, without known secrets. The line is logged too.
	Printed func(line string)

	StartTimeout    time.Duration // how long the plugin may take until it is ready for Init; 0: 10 s
	InitTimeout     time.Duration // how long the plugin's Init may take, at the start and after each restart (call_timeouts.init); 0: 2 m
	ShutdownTimeout time.Duration // how long the plugin's Shutdown may take (call_timeouts.shutdown); 0: 10 s
	PingInterval    time.Duration // the interval of health checks; 0: 10 s
	PingTimeout     time.Duration // how long one health check may take; after two failures in a row the plugin is killed; 0: 3 s
	RelaunchMin     time.Duration // the first pause before a plugin that died is started again; 0: 500 ms
	RelaunchMax     time.Duration // the longest pause; 0: 30 s

	shortCall time.Duration // a call that had less time than this may stay without an answer; 0: 5 s
	exitGrace time.Duration // how long after a broken connection the exit may be reported; 0: 250 ms
}

// Status is the current state of a plugin process.
type Status struct {
	Up       bool   // it runs
	PID      int    // its process id; 0: it is away
	Reason   string // why it is away; empty if it runs
	Restarts int    // how many times it was started again
}

func (o LaunchOptions) withDefaults() LaunchOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.SHA256From = orElse(o.SHA256From, "plugin_sha256")
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.StartTimeout, 10 * time.Second}, {&o.InitTimeout, 2 * time.Minute}, {&o.ShutdownTimeout, 10 * time.Second}, {&o.PingInterval, 10 * time.Second},
		{&o.PingTimeout, 3 * time.Second}, {&o.RelaunchMin, 500 * time.Millisecond}, {&o.RelaunchMax, 30 * time.Second},
		{&o.shortCall, 5 * time.Second}, {&o.exitGrace, 250 * time.Millisecond},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Launch starts the plugin and connects to it. Use the result like any InstanceGroup: call Init first, and Shutdown or Close at the end. If
// the plugin does not start, or other users can replace its executable, the error is a *[LaunchError].
func Launch(ctx context.Context, opts LaunchOptions) (*Process, error) {
	path, err := filepath.Abs(opts.Path)
	if err != nil {
		return nil, fmt.Errorf("resolving the plugin's path: %w", err)
	}
	for i, entry := range opts.Env {
		if err := CheckEnv(entry); err != nil {
			return nil, fmt.Errorf("entry %d for the plugin's environment: %w", i+1, err)
		}
	}
	opts.Path = path
	if opts.StateDir != "" {
		if opts.StateDir, err = filepath.Abs(opts.StateDir); err != nil {
			return nil, fmt.Errorf("resolving the folder of the plugin's state: %w", err)
		}
	}
	p := newProcess(opts.withDefaults())
	p.redact.addConfig(opts.Config)
	p.redact.addEnv(childEnv(os.Environ(), opts.Env))
	if names := unset(os.Environ(), opts.Env); len(names) > 0 {
		p.log.Warn("variables for the plugin are not set in the environment of this process: set them, or correct plugin_env", slog.String("variables", strings.Join(names, ", ")))
	}
	c, err := startChild(ctx, &p.opts, p.log, p.redact)
	if err != nil {
		return nil, err
	}
	p.adopt(c)
	return p, nil
}
