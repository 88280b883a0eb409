package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// reloadPatience is the longest time that one reload may take. A manager that cannot commit its state does not answer, and a shutdown must not
// wait for it.
const reloadPatience = time.Minute

// reload reads the file again and gives each runner its new configuration. A file with faults, or one that a start would refuse, changes nothing. A
// runner whose change needs a restart (of plugin, plugin_env, plugin_config, connector_config, state_storage, journal, and the init and shutdown of
// call_timeouts) is not reloaded. A runner that could not be started is tried at once. The log and the status say what did not take effect, and show the warnings of the file.
func (d *Daemon) reload(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reloadPatience)
	defer cancel()
	log := d.opts.Logger
	result := control.Reload{At: time.Now()}
	defer func() { d.noteReload(result) }()
	file, report, err := Load(d.opts.File.Path)
	if err == nil {
		err = report.Err()
	}
	if err == nil {
		err = d.check(file, d.running(file))
	}
	if err != nil {
		log.Error("the configuration was not reloaded; the previous one stays in use: correct the file and send SIGHUP again", "error", err)
		result.Problems = []string{"nothing was reloaded, and the previous configuration stays in use: correct the file and send SIGHUP again\n" + err.Error()}
		return
	}
	for _, p := range report.Warnings() {
		log.Warn("the configuration has a warning", "warning", p.Error())
		result.Warnings = append(result.Warnings, p.Error())
	}
	for _, r := range d.runners {
		name := setup.Name(r.file)
		waits := r.running() == nil
		if err := r.reload(ctx, file); err != nil {
			log.Error("a runner was not reloaded; its previous configuration stays in use", "runner", name, "error", err)
			result.Problems = append(result.Problems, fmt.Sprintf("%s was not reloaded, and its previous configuration stays in use: %v", r.file.Title(), err))
			continue
		}
		if waits {
			log.Info("a runner that could not be started is tried with the new configuration", "runner", name)
			continue
		}
		log.Info("a runner was reloaded", "runner", name)
		result.Reloaded = append(result.Reloaded, name)
	}
	for _, text := range append(d.added(file), changedHead(d.opts.File, file)...) {
		log.Warn("a change of the file needs a restart of the manager", "change", text)
		result.Problems = append(result.Problems, text+": restart the manager")
	}
}

// check returns the faults for which these runners of the file cannot be started on this machine, and logs the warnings. A start and a reload make the same check.
func (d *Daemon) check(file *config.File, runners []config.Runner) error {
	var found config.Report
	for _, r := range runners {
		if why := setup.Unsupported(r); why != "" {
			const key = "vm_isolation.enabled" // the only setting that is not supported
			found.Problems = append(found.Problems, config.Problem{
				Severity: config.Fault, Code: config.CodeUnsupported, Path: file.Path, Line: r.Autoscaler.LineOf(key), Key: "runners.autoscaler." + key, Message: why,
			})
		}
	}
	found.Problems = append(found.Problems, setup.CheckFiles(file, runners, d.opts.Plugins, os.Getenv)...)
	for _, p := range found.Warnings() {
		d.opts.Logger.Warn("the configuration has a warning", "warning", p.Error())
	}
	return found.Err()
}

// running returns the runners of the file that this manager runs. One that could not be started is checked when it is tried again.
func (d *Daemon) running(file *config.File) []config.Runner {
	var out []config.Runner
	for _, next := range file.Runners {
		runs := func(r *runner) bool { return r.file.Identity() == next.Identity() && r.failure() == nil }
		if next.Autoscaler != nil && slices.ContainsFunc(d.runners, runs) {
			out = append(out, next)
		}
	}
	return out
}

func (d *Daemon) noteReload(result control.Reload) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reloaded = &result
}

// lastReload returns the result of the latest reload, or nil.
func (d *Daemon) lastReload() *control.Reload {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reloaded
}

// added names the autoscaling runners of the file that this manager does not run, and those that it refused and could run now. If the manager runs only one selected runner, the others are not
// its business.
func (d *Daemon) added(file *config.File) []string {
	if d.opts.Select != "" {
		return nil
	}
	var out []string
	for _, next := range file.Runners {
		known := next.Autoscaler == nil
		for _, r := range d.runners {
			known = known || r.file.Identity() == next.Identity()
		}
		for _, r := range d.refused {
			if r.Identity == next.Identity() && !known {
				known = true
				if setup.Unsupported(next) == "" {
					out = append(out, next.Title()+" can be run now and is not started")
				}
			}
		}
		if !known {
			out = append(out, next.Title()+" was added to the file and is not started")
		}
	}
	return out
}

// changedHead names the keys of the head of the file that have changed. Only a start reads them.
func changedHead(old, now *config.File) []string {
	var out []string
	check := func(key string, same bool) {
		if !same {
			out = append(out, key+" changed and is not in use")
		}
	}
	check("log_level", old.LogLevel == now.LogLevel)
	check("log_format", old.LogFormat == now.LogFormat)
	check("shutdown_timeout", old.ShutdownTimeout == now.ShutdownTimeout)
	check("listen_address", old.ListenAddress == now.ListenAddress)
	return out
}

func (r *runner) reload(ctx context.Context, file *config.File) error {
	for _, next := range file.Runners {
		if next.Autoscaler == nil || next.Identity() != r.file.Identity() || next.Shared {
			continue
		}
		scaler := r.correct(next)
		if scaler == nil {
			return nil
		}
		if err := sameProcess(r.conf.Autoscaler, next.Autoscaler); err != nil {
			return err
		}
		cfg, err := setup.Config(next)
		if err != nil {
			return err
		}
		err = scaler.Reload(ctx, cfg)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("the manager did not take it within %s: see `taskscaler status`, and send SIGHUP again", reloadPatience)
		}
		return err
	}
	return errors.New("the file no longer has exactly one autoscaling runner with this url and id (or name): correct the file, or restart the manager")
}

// correct returns the manager of the runner if it has started. Else the next try to start it uses next, and is made at once.
func (r *runner) correct(next config.Runner) *taskscaler.Taskscaler {
	if scaler := r.running(); scaler != nil {
		return scaler
	}
	select {
	case <-r.corrected: // an older correction
	default:
	}
	r.corrected <- next // only reloads send, one after the other
	scaler := r.running()
	if scaler == nil {
		return nil
	}
	select { // it has started meanwhile, perhaps with this configuration
	case <-r.corrected:
		return scaler
	default:
		return nil
	}
}

// sameProcess returns an error for changes that a running plugin or an open state cannot take.
func sameProcess(old, now *config.Autoscaler) error {
	var changed []string
	check := func(key string, same bool) {
		if !same {
			changed = append(changed, key)
		}
	}
	oldC, nowC := old.Connector, now.Connector
	check("plugin", old.Plugin == now.Plugin && old.PluginSHA256 == now.PluginSHA256 && old.PluginInsecurePath == now.PluginInsecurePath)
	check("plugin_env", slices.EqualFunc(old.PluginEnv, now.PluginEnv, config.Secret.Equal))
	check("plugin_config", old.PluginConfig.Equal(now.PluginConfig))
	oldState, nowState := old.StateStorage, now.StateStorage
	oldState.EnabledSet, nowState.EnabledSet = false, false // whether the file has the key does not matter, only its value
	check("state_storage", oldState == nowState)
	check("journal", old.Journal == now.Journal)
	check("call_timeouts.init", old.CallTimeouts.Init == now.CallTimeouts.Init)
	check("call_timeouts.shutdown", old.CallTimeouts.Shutdown == now.CallTimeouts.Shutdown)
	check("connector_config", reflect.DeepEqual(oldC.ToProvider(nil), nowC.ToProvider(nil)) && oldC.KeyPath == nowC.KeyPath &&
		oldC.KeyPassphrase.Equal(nowC.KeyPassphrase) && oldC.KeyPassphrasePath == nowC.KeyPassphrasePath &&
		oldC.UseExternalAddr == nowC.UseExternalAddr && oldC.AllowLegacySSH == nowC.AllowLegacySSH && // callers of leases already know these
		oldC.AllowDHGroupExchange == nowC.AllowDHGroupExchange && oldC.ProxyJump == nowC.ProxyJump &&
		oldC.PasswordWithoutHostKey == nowC.PasswordWithoutHostKey && oldC.WinRMShell == nowC.WinRMShell &&
		oldC.WinRMAuth == nowC.WinRMAuth && oldC.WinRMCAFile == nowC.WinRMCAFile && oldC.WinRMInsecure == nowC.WinRMInsecure)
	if len(changed) > 0 {
		return fmt.Errorf("%s changed: restart the manager to use the new value", strings.Join(changed, ", "))
	}
	return nil
}
