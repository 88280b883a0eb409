// Command fleeting-plugin-script is a provider in one file. It runs an executable of the operator for all work. The executable lists,
// creates and removes machines with the command line tool of a cloud or a hypervisor. It is an example (see docs/plugins.md), and ready to
// use.
//
//	SCRIPT list           prints "ID STATE ADDRESS" for each machine; STATE is creating, running or deleting
//	SCRIPT create N       asks for N machines and prints a line for each that was accepted
//	SCRIPT delete ID…     removes these machines and prints each ID that was accepted or is already gone
//
// Exit code 0 means success, 69 that no machine is available, and 78 that the configuration is wrong. Any other exit code means that a retry
// may help. The end of standard error is the error message.
package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

var version = "dev" // set at build time with -ldflags "-X main.version=..."

func main() {
	plugin.Main(&Group{}, plugin.VersionInfo{Name: "fleeting-plugin-script", Version: version})
}

// Group is the machines of one script. Its exported fields are the keys of plugin_config.
type Group struct {
	Name   string   `json:"name"`               // names the group; state is bound to it
	Script []string `json:"script"`             // the executable and its first arguments
	Max    int      `json:"max_size,omitempty"` // 0: no limit that the group knows of

	settings secret.Value[provider.Settings] // printing the group does not show the password
	log      hclog.Logger
}

var _ provider.InstanceGroup = (*Group)(nil)

// The exit codes of the script that have a meaning. They are those of sysexits.h.
const (
	exitUnavailable = 69
	exitConfig      = 78
)

// Init checks the configuration, and lists the machines to see whether the script works.
func (g *Group) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = log, secret.Hide(settings)
	var faults pluginkit.Faults
	faults.Required("name", g.Name)
	faults.AtLeast("max_size", g.Max, 0)
	if len(g.Script) == 0 {
		faults.Add("script", `is missing, such as script = ["/etc/vm.sh"]`)
	}
	if err := faults.Err(); err != nil {
		return provider.ProviderInfo{}, err
	}
	_, err := g.list(ctx)
	return provider.ProviderInfo{ID: "script/" + g.Name, MaxSize: g.Max}, err
}

// machine is one line of a list.
type machine struct{ id, state, address string }

func (g *Group) list(ctx context.Context) (machines []machine, err error) {
	lines, err := g.run(ctx, "list")
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) < 2 || len(words) > 3 {
			return nil, provider.Errorf(provider.KindTransient, "the script printed the line %q: expected ID STATE ADDRESS", line)
		}
		m := machine{id: words[0], state: words[1]}
		if len(words) == 3 {
			m.address = words[2]
		}
		machines = append(machines, m)
	}
	return machines, nil
}

// Update reports the whole list, or returns an error: after half a list without an error, machines would count as gone.
func (g *Group) Update(ctx context.Context, update func(id string, state provider.State)) error {
	machines, err := g.list(ctx)
	for _, m := range machines {
		update(m.id, provider.State(m.state))
	}
	return err
}

// Increase returns how many machines were accepted, and the error that stopped the rest.
func (g *Group) Increase(ctx context.Context, delta int) (int, error) {
	lines, err := g.run(ctx, "create", strconv.Itoa(delta))
	return min(len(lines), delta), err
}

// Decrease removes these machines and no others.
func (g *Group) Decrease(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	lines, err := g.run(ctx, append([]string{"delete"}, ids...)...)
	accepted := slices.DeleteFunc(lines, func(id string) bool { return !slices.Contains(ids, id) })
	return accepted, err
}

// ConnectInfo says where the machine is. What the operator set wins.
func (g *Group) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	machines, err := g.list(ctx)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	for _, m := range machines {
		if m.id != id {
			continue
		}
		return pluginkit.Connect(g.settings.Reveal(), provider.ConnectInfo{
			ID: id, InternalAddr: m.address, ExternalAddr: m.address, ConnectorConfig: provider.ConnectorConfig{Username: "root"},
		}), nil
	}
	return provider.ConnectInfo{}, provider.Errorf(provider.KindNotFound, "the script lists no machine %q", id)
}

// Shutdown has nothing to release. It removes no machine.
func (g *Group) Shutdown(context.Context) error { return nil }

// run runs the script and returns the lines that it printed, even after an error.
func (g *Group) run(ctx context.Context, args ...string) (lines []string, err error) {
	cmd := exec.CommandContext(ctx, g.Script[0], append(slices.Clone(g.Script[1:]), args...)...)
	cmd.WaitDelay = time.Second // do not wait longer for a grandchild that keeps the pipe open
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if err == nil {
		return lines, nil
	}
	if text := strings.TrimSpace(said.String()); text != "" {
		err = fmt.Errorf("%w: %s", err, text[max(0, len(text)-200):])
	}
	g.log.Debug("the script failed", "args", args, "error", err)
	return lines, &provider.Error{Kind: kindOf(err), Err: fmt.Errorf("%s %s: %w", g.Script[0], args[0], err)}
}

// kindOf returns the kind of a failure of the script. Each provider needs one such function.
func kindOf(err error) provider.FailureKind {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return provider.KindConfig
	case !errors.As(err, &exit):
		return provider.KindTransient
	case exit.ExitCode() == exitUnavailable:
		return provider.KindCapacity
	case exit.ExitCode() == exitConfig:
		return provider.KindConfig
	}
	return provider.KindTransient
}
