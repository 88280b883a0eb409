package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/internal/pathguard"
	"github.com/taskscaler/taskscaler/internal/redact"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// Load is config.Load, and CheckAccess for the file.
func Load(path string) (*config.File, *config.Report, error) {
	file, report, err := config.Load(path)
	if err == nil && file != nil {
		report.Problems = append(report.Problems, CheckAccess(file)...)
	}
	return file, report, err
}

// CheckAccess checks who else can use the configuration file and the files that its connector_config names: private keys, passphrases, certificates and known
// hosts. It is a fault if every user can write one of them: such a user can run programs as the user of the manager, or pose as an instance or the jump host. It
// is a warning if a group or the owner, another user, can; or if others can read secrets in it. Files that do not exist are left to setup.CheckFiles.
func CheckAccess(file *config.File) []config.Problem {
	found := access(file.Path, file.Path, "", 0, hasSecrets(file))
	seen := map[string]bool{}
	for _, r := range file.Runners {
		if r.Autoscaler == nil {
			continue
		}
		c := r.Autoscaler.Connector
		for _, named := range [...]struct {
			key, path string
			secrets   bool
		}{
			{"key_path", c.KeyPath, true}, {"key_passphrase_path", c.KeyPassphrasePath, true}, {"winrm_ca_file", c.WinRMCAFile, false},
			{"proxy_jump_key_path", c.ProxyJump.KeyPath, true}, {"proxy_jump_key_passphrase_path", c.ProxyJump.KeyPassphrasePath, true},
			{"proxy_jump_known_hosts_path", c.ProxyJump.KnownHostsPath, false},
		} {
			if key := "connector_config." + named.key; named.path != "" && !seen[named.path] {
				seen[named.path] = true
				found = append(found, access(file.Path, named.path, "runners.autoscaler."+key, r.Autoscaler.LineOf(key), named.secrets)...)
			}
		}
	}
	return found
}

// hasSecrets reports whether the file has a token, a password or a passphrase, or a text in plugin_config whose key says that it is a secret.
func hasSecrets(file *config.File) bool {
	for _, r := range file.Runners {
		if !r.Token.Empty() {
			return true
		}
		if a := r.Autoscaler; a != nil && (!a.Connector.Password.Empty() || !a.Connector.KeyPassphrase.Empty() || pluginSecrets(a.PluginConfig) || setsVariables(a.PluginEnv)) {
			return true
		}
	}
	return false
}

// setsVariables reports whether plugin_env has a value. What it is for is not known, so it may be a secret.
func setsVariables(env []config.Secret) bool {
	return slices.ContainsFunc(env, func(e config.Secret) bool { return strings.Contains(e.Reveal(), "=") })
}

// pluginSecrets reports whether plugin_config has a text below a key whose name is that of a secret.
func pluginSecrets(c config.RawConfig) bool {
	var v any
	if json.Unmarshal(c.Raw(), &v) != nil {
		return false
	}
	names := redact.NewByName()
	var has func(v any, secret bool) bool
	has = func(v any, secret bool) bool {
		switch v := v.(type) {
		case string:
			return secret && v != ""
		case []any:
			return slices.ContainsFunc(v, func(e any) bool { return has(e, secret) })
		case map[string]any:
			for key, e := range v {
				if has(e, secret || names.IsSecret(key)) {
					return true
				}
			}
		}
		return false
	}
	return has(v, false)
}

// access checks one file. key and line say where the configuration names it; the configuration itself has none.
func access(configPath, path, key string, line int, secrets bool) (found []config.Problem) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	info, err := os.Stat(target)
	if err != nil || !info.Mode().IsRegular() || runtime.GOOS == "windows" { // a pipe of a shell has no mode of interest
		return nil
	}
	add := func(severity config.Severity, message, remedy string) {
		if path != configPath { // which each problem names anyway
			message = path + ": " + message
		}
		found = append(found, config.Problem{Severity: severity, Code: config.CodeAccess, Path: configPath, Line: line, Key: key, Message: message, Remedy: remedy})
	}
	_ = pathguard.Walk(target, func(f *pathguard.Fault) error { // an error says that a folder cannot be examined
		if f.Path != target {
			return nil
		}
		severity := config.Warning
		if f.Everyone {
			severity = config.Fault
		}
		add(severity, f.Why, f.Remedy)
		return nil
	})
	if secrets && info.Mode().Perm()&0o044 != 0 && len(found) == 0 {
		add(config.Warning, "other users can read the secrets in this file ("+info.Mode().Perm().String()+")", "chmod 600 "+target)
	}
	return found
}
