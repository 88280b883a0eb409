package daemon

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/taskscaler/taskscaler/internal/pathguard"
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

// CheckAccess checks who else can use the configuration file and the private keys that it names (key_path). It is a fault if every user can write
// one of them: whoever does can run programs as the user of the manager. It is a warning if a group or the owner, another user, can; or if others
// can read secrets in it. Files that do not exist are left to setup.CheckFiles.
func CheckAccess(file *config.File) []config.Problem {
	found := access(file.Path, file.Path, "", 0, hasSecrets(file))
	seen := map[string]bool{}
	for _, r := range file.Runners {
		if r.Autoscaler == nil || r.Autoscaler.Connector.KeyPath == "" || seen[r.Autoscaler.Connector.KeyPath] {
			continue
		}
		path := r.Autoscaler.Connector.KeyPath
		seen[path] = true
		found = append(found, access(file.Path, path, "runners.autoscaler.connector_config.key_path", r.Autoscaler.Line, true)...)
	}
	return found
}

// hasSecrets reports whether the file has a token or a password.
func hasSecrets(file *config.File) bool {
	for _, r := range file.Runners {
		if r.Token.Reveal() != "" || r.Autoscaler != nil && r.Autoscaler.Connector.Password.Reveal() != "" {
			return true
		}
	}
	return false
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
