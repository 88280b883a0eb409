package setup

import (
	"cmp"
	"errors"
	"slices"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// Unsupported says which setting of the runner no manager supports yet, and what to do. It is empty if there is none.
func Unsupported(r config.Runner) string {
	a := r.Autoscaler
	switch {
	case a == nil:
		return ""
	case a.VMIsolation.Enabled:
		return "vm_isolation.enabled is true, but nested machines are not supported yet: set it to false to run this runner"
	}
	return ""
}

// CheckFiles checks what these runners of the file need on this machine, for the user of this process. It returns a fault for each of these that a manager
// refuses, sorted by line: the private key (key_path) and that of the jump host can be read, decrypted with their passphrases, and used; the host key of the jump host is known;
// winrm_ca_file holds a certificate; the key of the state (key_file) can be read, is private and is a key; the plugin is installed and no other user can replace
// it. A passphrase of a key that has none is a warning. It starts nothing. A key of the state that is a credential of systemd exists only in its unit, so it is
// checked only there. getenv is os.Getenv.
func CheckFiles(file *config.File, runners []config.Runner, find plugin.FindOptions, getenv func(string) string) []config.Problem {
	var found []config.Problem
	for _, r := range runners {
		if r.Autoscaler == nil {
			continue
		}
		alone := *file
		alone.Runners = []config.Runner{r}
		own := alone.CheckFiles().Problems
		own = append(own, checkConnector(file, r)...)
		if r.Autoscaler.Plugin != "" {
			own = append(own, fault(file, r, "plugin", CheckPlugin(file, r, find))...)
		}
		found = append(found, append(own, checkStateKey(file, r, own, getenv)...)...)
	}
	slices.SortStableFunc(found, func(a, b config.Problem) int { return cmp.Compare(a.Line, b.Line) })
	return found
}

// CheckLock compares the plugins of these runners with the lock file beside the configuration, if there is one. A plugin that is not installed on this machine
// is no fault. CheckFiles makes the same check.
func CheckLock(file *config.File, runners []config.Runner, find plugin.FindOptions) (found []config.Problem) {
	for _, r := range runners {
		if r.Autoscaler == nil || r.Autoscaler.Plugin == "" {
			continue
		}
		var lock *LockError
		if err := CheckPlugin(file, r, find); errors.As(err, &lock) {
			found = append(found, fault(file, r, "plugin", err)...)
		}
	}
	return found
}

// settingError is the error of a key of connector_config whose file can be read, and not used.
type settingError struct {
	key string
	err error
}

// Error names the key.
func (e *settingError) Error() string { return "connector_config." + e.key + ": " + e.err.Error() }

func (e *settingError) Unwrap() error { return e.err }

// checkConnector returns the problems of files that connector_config names and that can be read. Files that cannot be read are left to config.File.CheckFiles.
func checkConnector(file *config.File, r config.Runner) (found []config.Problem) {
	c := r.Autoscaler.Connector
	key, keyErr := loadKey(c)
	_, caErr := loadCA(c)
	for _, err := range append(checkJump(c, key, keyErr), keyErr, caErr) {
		var setting *settingError
		if errors.As(err, &setting) {
			found = append(found, fault(file, r, "connector_config."+setting.key, setting.err)...)
		}
	}
	for _, key := range unusedPassphrases(c) {
		p := problem(file, r, "connector_config."+key)
		p.Severity, p.Code = config.Warning, config.CodePassphrase
		p.Message, p.Remedy = "is not used, because the private key is not encrypted", "remove the line"
		found = append(found, p)
	}
	return found
}

// checkStateKey returns a fault for a key of the state that can be read and is no key. One that cannot be read is among the known faults.
func checkStateKey(file *config.File, r config.Runner, known []config.Problem, getenv func(string) string) []config.Problem {
	const key = "state_storage.key_file"
	if slices.ContainsFunc(known, func(p config.Problem) bool { return p.Key == "runners.autoscaler."+key }) {
		return nil
	}
	if r.Autoscaler.StateStorage.KeyCredential != "" && getenv("CREDENTIALS_DIRECTORY") == "" {
		return nil
	}
	_, err := StateOptions(r, getenv)
	return fault(file, r, key, err)
}

// fault returns err as the fault of a key of the runner.
func fault(file *config.File, r config.Runner, key string, err error) []config.Problem {
	if err == nil {
		return nil
	}
	p := problem(file, r, key)
	p.Message = err.Error()
	return []config.Problem{p}
}

// problem returns a fault of a key of the runner that says nothing yet.
func problem(file *config.File, r config.Runner, key string) config.Problem {
	return config.Problem{Severity: config.Fault, Code: config.CodeFile, Path: file.Path, Line: r.Autoscaler.LineOf(key), Key: "runners.autoscaler." + key}
}
