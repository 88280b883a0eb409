package setup

import (
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
	case a.Connector.WinRM():
		return `connector_config asks for WinRM, which is not supported yet: install OpenSSH on the instances and write protocol = "ssh"`
	}
	return ""
}

// CheckFiles checks what these runners of the file need on this machine, for the user of this process: the private key (key_path) can be read, the key
// of the state (key_file) can be read, is private and is a key, and the plugin is installed and no other user can replace it. It returns a fault for
// each that a manager would refuse. It starts nothing. A key of the state that is a credential of systemd exists only in its unit, so it is checked
// only there. getenv is os.Getenv.
func CheckFiles(file *config.File, runners []config.Runner, find plugin.FindOptions, getenv func(string) string) []config.Problem {
	var faults []config.Problem
	for _, r := range runners {
		if r.Autoscaler == nil {
			continue
		}
		alone := *file
		alone.Runners = []config.Runner{r}
		own := alone.CheckFiles().Problems
		if r.Autoscaler.Plugin != "" {
			own = append(own, fault(file, r, "plugin", CheckPlugin(file, r, find))...)
		}
		faults = append(faults, append(own, checkStateKey(file, r, own, getenv)...)...)
	}
	return faults
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
	return []config.Problem{{
		Severity: config.Fault, Code: config.CodeFile, Path: file.Path, Line: r.Autoscaler.Line, Key: "runners.autoscaler." + key, Message: err.Error(),
	}}
}
