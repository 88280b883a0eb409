package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

// reload reads the file again and gives each runner its new configuration. A file with faults changes nothing. A runner whose change needs a
// restart (of plugin, plugin_config, connector_config, state_storage or journal) is not reloaded, and the log says so.
func (d *Daemon) reload(ctx context.Context) {
	log := d.opts.Logger
	file, report, err := config.Load(d.opts.File.Path)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		log.Error("the configuration was not reloaded; the previous one stays in use: correct the file and send SIGHUP again", "error", err)
		return
	}
	for _, r := range d.runners {
		if err := r.reload(ctx, file); err != nil {
			log.Error("a runner was not reloaded; its previous configuration stays in use", "runner", setup.Name(r.file), "error", err)
			continue
		}
		log.Info("a runner was reloaded", "runner", setup.Name(r.file))
	}
}

func (r *runner) reload(ctx context.Context, file *config.File) error {
	for _, next := range file.Runners {
		if next.Autoscaler == nil || next.Identity() != r.file.Identity() || next.Shared {
			continue
		}
		if err := sameProcess(r.file.Autoscaler, next.Autoscaler); err != nil {
			return err
		}
		cfg, err := setup.Config(next)
		if err != nil {
			return err
		}
		return r.scaler.Reload(ctx, cfg)
	}
	return errors.New("the file no longer has exactly one autoscaling runner with this url and id (or name): correct the file, or restart the manager")
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
	check("plugin", old.Plugin == now.Plugin && old.PluginSHA256 == now.PluginSHA256)
	check("plugin_config", old.PluginConfig.Equal(now.PluginConfig))
	check("state_storage", old.StateStorage == now.StateStorage)
	check("journal", old.Journal == now.Journal)
	check("connector_config", reflect.DeepEqual(oldC.ToProvider(nil), nowC.ToProvider(nil)) && oldC.KeyPath == nowC.KeyPath &&
		oldC.UseExternalAddr == nowC.UseExternalAddr) // callers of leases already know this value
	if len(changed) > 0 {
		return fmt.Errorf("%s changed: restart the manager to use the new value", strings.Join(changed, ", "))
	}
	return nil
}
