package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// LaunchOptions says which plugin to run and how. Only Path is required.
type LaunchOptions struct {
	Path   string          // the executable; see Find
	Args   []string        // none for a plugin whose main is Main
	Dir    string          // working directory: what relative paths in Config are relative to; empty: this process's
	Env    []string        // KEY=VALUE, added to this process's environment
	Config json.RawMessage // plugin_config as JSON
	SHA256 string          // hexadecimal; when set, an executable with another sum is not started
	Logger *slog.Logger    // gets what the plugin logs too; nil: discarded

	StartTimeout    time.Duration // until the plugin is ready for Init; 0: 10 s
	ShutdownTimeout time.Duration // for the plugin's own Shutdown, at most; 0: 10 s
	PingInterval    time.Duration // how often a plugin is asked whether it is alive; 0: 10 s
	PingTimeout     time.Duration // two such questions in a row without an answer: it hangs; 0: 3 s each
	RelaunchMin     time.Duration // first pause before a plugin that died is started again; 0: 500 ms
	RelaunchMax     time.Duration // longest such pause; 0: 30 s

	exitGrace time.Duration // between a broken connection and the news of the exit; 0: 250 ms
}

// Status is how a plugin process is at the moment.
type Status struct {
	Up       bool
	PID      int    // 0 when it is away
	Reason   string // why it is away
	Restarts int    // how often it was started again
}

func (o LaunchOptions) withDefaults() LaunchOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.StartTimeout, 10 * time.Second}, {&o.ShutdownTimeout, 10 * time.Second}, {&o.PingInterval, 10 * time.Second},
		{&o.PingTimeout, 3 * time.Second}, {&o.RelaunchMin, 500 * time.Millisecond}, {&o.RelaunchMax, 30 * time.Second},
		{&o.exitGrace, 250 * time.Millisecond},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Launch starts the plugin and shakes hands with it. The result is used as any InstanceGroup: Init first, and Shutdown or Close at
// the end. What keeps a plugin from starting is a *[LaunchError].
func Launch(ctx context.Context, opts LaunchOptions) (*Process, error) {
	path, err := filepath.Abs(opts.Path)
	if err != nil {
		return nil, fmt.Errorf("resolving the plugin's path: %w", err)
	}
	opts.Path = path
	p := newProcess(opts.withDefaults())
	p.redact.addConfig(opts.Config)
	c, err := startChild(ctx, &p.opts, p.log, p.redact)
	if err != nil {
		return nil, err
	}
	p.adopt(c)
	return p, nil
}
