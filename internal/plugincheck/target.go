package plugincheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// marker is an environment variable of the processes of one run. Whatever the plugin starts inherits it.
const marker = "TASKSCALER_PLUGIN_CHECK"

const (
	endPatience    = 5 * time.Second  // how long processes may take to end after their plugin
	orphanPatience = 20 * time.Second // and after their host: the plugin must notice it first
)

// Target is a plugin's binary. Each handle is a process of its own.
type Target struct {
	launch plugin.LaunchOptions
	mark   string
	temp   string // the TMPDIR of the plugin
	host   func() *exec.Cmd

	mu       sync.Mutex
	settings secret.Value[provider.Settings] // of the first Open
	opened   bool
}

var (
	_ conformance.Target    = (*Target)(nil)
	_ conformance.Reopener  = (*Target)(nil)
	_ conformance.Explainer = (*Target)(nil)
	_ conformance.Leaver    = (*Target)(nil)
	_ conformance.Orphaner  = orphanTarget{}
)

// New returns a target that launches the plugin with these options. The plugin gets an empty folder below temp for temporary files. host makes the command of
// a process that calls Host; nil: what the plugin does when its host dies is not checked.
func New(launch plugin.LaunchOptions, temp string, host func() *exec.Cmd) (conformance.Target, error) {
	t := &Target{launch: launch, temp: filepath.Join(temp, "tmp"), host: host}
	t.mark = fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	if err := os.Mkdir(t.temp, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for temporary files of the plugin: %w", err)
	}
	t.launch.Env = append(append([]string{}, launch.Env...), marker+"="+t.mark, "TMPDIR="+t.temp)
	t.launch.RelaunchMin, t.launch.RelaunchMax = time.Hour, time.Hour // a plugin that dies is a finding
	if host == nil {
		return t, nil
	}
	return orphanTarget{t}, nil
}

// Open implements conformance.Target.
func (t *Target) Open(ctx context.Context, settings provider.Settings) (conformance.Handle, error) {
	t.mu.Lock()
	if !t.opened {
		t.settings, t.opened = secret.Hide(settings), true
	}
	t.mu.Unlock()
	h := &handle{}
	launch := t.launch
	launch.Printed = h.printed
	p, err := plugin.Launch(ctx, launch)
	if err != nil {
		return nil, err
	}
	h.process = p
	if h.info, err = p.Init(ctx, nil, settings); err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return h, nil
}

// Reopen implements conformance.Reopener.
func (t *Target) Reopen(ctx context.Context, settings provider.Settings) (conformance.Handle, error) {
	return t.Open(ctx, settings)
}

// Explain implements conformance.Explainer.
func (t *Target) Explain(err error) (conformance.Incident, bool) {
	text := err.Error()
	switch away := errors.Is(err, provider.ErrAway); {
	case strings.Contains(text, "the plugin panicked in "):
		return conformance.Incident{Kind: conformance.Panicked, Text: text}, true
	case away && errors.Is(err, context.DeadlineExceeded):
		return conformance.Incident{Kind: conformance.Stuck, Text: text}, true
	case away:
		return conformance.Incident{Kind: conformance.Died, Text: text}, true
	}
	return conformance.Incident{}, false
}

// Left implements conformance.Leaver.
func (t *Target) Left(ctx context.Context) ([]string, error) {
	left := awaitEnd(ctx, t.mark, endPatience)
	entries, err := os.ReadDir(t.temp)
	if err != nil {
		return nil, fmt.Errorf("looking for temporary files of the plugin: %w", err)
	}
	for _, e := range entries {
		left = append(left, "the file "+e.Name()+" in the folder for temporary files")
	}
	return left, nil
}

// awaitEnd waits until no process with the mark is left, and returns those that are left nevertheless.
func awaitEnd(ctx context.Context, mark string, patience time.Duration) (left []string) {
	deadline := time.Now().Add(patience)
	for {
		left = marked(marker + "=" + mark)
		if len(left) == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return left
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// handle is one process of the plugin.
type handle struct {
	process *plugin.Process
	info    provider.ProviderInfo

	mu    sync.Mutex
	lines []conformance.Incident
}

var (
	_ conformance.Handle   = (*handle)(nil)
	_ conformance.Killer   = (*handle)(nil)
	_ conformance.Observer = (*handle)(nil)
)

func (h *handle) printed(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lines) < 10 {
		h.lines = append(h.lines, conformance.Incident{Kind: conformance.Printed, Text: line})
	}
}

// Group implements conformance.Handle.
func (h *handle) Group() provider.InstanceGroup { return h.process }

// Info implements conformance.Handle.
func (h *handle) Info() provider.ProviderInfo { return h.info }

// Close implements conformance.Handle. Process.Close calls Shutdown.
func (h *handle) Close(ctx context.Context) error { return h.process.Close(ctx) }

// Kill implements conformance.Killer.
func (h *handle) Kill(ctx context.Context) error {
	pid := h.process.Status().PID
	if pid == 0 {
		return fmt.Errorf("the plugin is away: %s", h.process.Status().Reason)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	for h.process.Status().Up && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	_ = h.process.Close(ctx) // it is dead, and only this process's part is released
	return ctx.Err()
}

// Incidents implements conformance.Observer.
func (h *handle) Incidents() []conformance.Incident {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]conformance.Incident{}, h.lines...)
}
