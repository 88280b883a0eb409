// Command testplugin is a plugin with the reference group and faults that can be switched on. Tests build and launch it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// group adds faults to the reference group.
type group struct {
	providertest.Memory

	DieAtInit    string `json:"die_at_init"`    // "exit", "panic", "config" or "hang"
	DieOnceAt    string `json:"die_once_at"`    // a file; if it exists, Init removes it and exits
	Leak         bool   `json:"leak"`           // writes all secrets to its log, to standard error and to standard output
	LeakEnv      bool   `json:"leak_env"`       // writes the values of its environment to its log and to standard error
	Slow         bool   `json:"slow"`           // Increase accepts one machine per call, and returns when its context ends
	OneByOne     bool   `json:"one_by_one"`     // Decrease, Suspend and Resume accept the first id, and return an error
	Endless      bool   `json:"endless"`        // Update never returns
	EndlessMark  string `json:"endless_mark"`   // a file that an endless Update creates first
	EndlessOnce  string `json:"endless_once"`   // a file; if it exists, Update removes it and never returns
	ListSize     int    `json:"list_size"`      // how many invented instances Update reports
	GroupFrom    string `json:"group_from"`     // a file that holds the group's name
	SizeFrom     string `json:"size_from"`      // a file that holds the group's limit
	SpawnSleeper string `json:"spawn_sleeper"`  // a file for the process id of a child that Init starts
	ShutdownMark string `json:"shutdown_mark"`  // a file that Shutdown creates
	SaysVersion  string `json:"says_version"`   // instead of that of the reference group
	CleanEnvFile string `json:"clean_env_file"` // a file for the environment that children inherit

	settings secret.Value[provider.Settings]
	log      hclog.Logger
}

func (g *group) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = log, secret.Hide(settings)
	switch g.DieAtInit {
	case "exit":
		fmt.Fprintln(os.Stderr, "cannot go on: the moon is down")
		os.Exit(3)
	case "panic": // outside of the call, whose own panic would be recovered
		go panic("a fault in Init")
		select {}
	case "config":
		return provider.ProviderInfo{}, provider.Errorf(provider.KindConfig, "group %q does not exist", g.Group)
	case "hang":
		select {}
	}
	if g.DieOnceAt != "" && os.Remove(g.DieOnceAt) == nil {
		os.Exit(4)
	}
	if s := settings.StateDir; s != "" { // a file that another start finds
		if f, err := os.OpenFile(filepath.Join(s, "starts"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return provider.ProviderInfo{}, err
		} else if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
			return provider.ProviderInfo{}, err
		}
	}
	if g.GroupFrom != "" {
		name, err := os.ReadFile(g.GroupFrom)
		if err != nil {
			return provider.ProviderInfo{}, err
		}
		g.Group = string(name)
	}
	if g.SizeFrom != "" {
		size, err := os.ReadFile(g.SizeFrom)
		if err != nil {
			return provider.ProviderInfo{}, err
		}
		if g.MaxSize, err = strconv.Atoi(string(size)); err != nil {
			return provider.ProviderInfo{}, err
		}
	}
	if g.CleanEnvFile != "" {
		env, err := exec.Command("env").Output()
		if err != nil {
			return provider.ProviderInfo{}, err
		}
		if err := os.WriteFile(g.CleanEnvFile, env, 0o600); err != nil {
			return provider.ProviderInfo{}, err
		}
	}
	if g.SpawnSleeper != "" {
		if err := spawnSleeper(g.SpawnSleeper); err != nil {
			return provider.ProviderInfo{}, err
		}
	}
	if g.Leak {
		g.leak()
	}
	if g.LeakEnv {
		g.leakEnv()
	}
	info, err := g.Memory.Init(ctx, log, settings)
	if g.SaysVersion != "" {
		info.Version = g.SaysVersion
	}
	return info, err
}

// spawnSleeper starts a child that keeps the plugin's standard error open.
func spawnSleeper(file string) error {
	cmd := exec.Command("sleep", "600")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.NewFile(2, "stderr")
	if err := cmd.Start(); err != nil {
		return err
	}
	return os.WriteFile(file, fmt.Append(nil, cmd.Process.Pid), 0o600)
}

// leakEnv writes values without their names: a name can say that its value is secret.
func (g *group) leakEnv() {
	for _, entry := range os.Environ() {
		_, value, _ := strings.Cut(entry, "=")
		g.log.Info("it has " + value)
		fmt.Fprintln(os.Stderr, "there is "+value)
	}
	g.log.Info("that is all")
}

func (g *group) leak() {
	s := g.settings.Reveal()
	g.log.Info("the password is "+s.Password, "settings", s, "nested", map[string]any{"p": s.Password, "k": s.Key}, "own", g.Password.Reveal())
	g.log.Debug("the key is " + string(s.Key))
	fmt.Fprintf(os.NewFile(2, "stderr"), "raw %q\n%s\n{\"@message\": 1}\n{\"@level\": \"info\"\nplain %s\n", s.Password, s.Key, g.Password.Reveal())
	fmt.Println("printed " + s.Password)
	fmt.Fprintln(os.Stderr, "complained "+s.Password)
}

func (g *group) Update(ctx context.Context, update func(id string, state provider.State)) error {
	if g.Endless {
		if g.EndlessMark != "" {
			if err := os.WriteFile(g.EndlessMark, nil, 0o600); err != nil {
				return err
			}
		}
		update("m-endless", provider.StateRunning)
		select {}
	}
	if g.EndlessOnce != "" && os.Remove(g.EndlessOnce) == nil {
		select {}
	}
	for i := range g.ListSize {
		update(fmt.Sprintf("i-%017d", i), provider.StateRunning)
	}
	if g.ListSize > 0 {
		return nil
	}
	return g.Memory.Update(ctx, update)
}

func (g *group) Increase(ctx context.Context, delta int) (int, error) {
	if g.Slow {
		n, err := g.Memory.Increase(ctx, 1)
		if err != nil {
			return n, err
		}
		<-ctx.Done()
		return n, ctx.Err()
	}
	return g.Memory.Increase(ctx, delta)
}

func (g *group) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return g.forIDs(ctx, ids, g.Memory.Decrease)
}

func (g *group) Suspend(ctx context.Context, ids []string) ([]string, error) {
	return g.forIDs(ctx, ids, g.Memory.Suspend)
}

func (g *group) Resume(ctx context.Context, ids []string) ([]string, error) {
	return g.forIDs(ctx, ids, g.Memory.Resume)
}

func (g *group) forIDs(ctx context.Context, ids []string, do func(context.Context, []string) ([]string, error)) ([]string, error) {
	if !g.OneByOne || len(ids) < 2 {
		return do(ctx, ids)
	}
	done, err := do(ctx, ids[:1])
	if err != nil {
		return done, err
	}
	return done, provider.Errorf(provider.KindThrottled, "one at a time")
}

func (g *group) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	switch id {
	case "throttled":
		return provider.ConnectInfo{}, &provider.Error{
			Kind: provider.KindThrottled, RetryAfter: 7 * time.Second, Err: fmt.Errorf("slow down, %s", g.settings.Reveal().Password),
		}
	case "exit":
		os.Exit(5)
	}
	return g.Memory.ConnectInfo(ctx, id)
}

func (g *group) Shutdown(ctx context.Context) error {
	if g.ShutdownMark != "" {
		if err := os.WriteFile(g.ShutdownMark, nil, 0o600); err != nil {
			return err
		}
	}
	return g.Memory.Shutdown(ctx)
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "own-subcommand" {
		fmt.Println("a sub-command of the plugin's own")
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "foreign" { // another program's plugin, made with the same library
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ANOTHER_COOKIE", MagicCookieValue: "x"}})
		return
	}
	plugin.Main(&group{}, plugin.VersionInfo{Name: "testplugin", Version: "1.2.3", Revision: "abc", Reference: "main"})
}
