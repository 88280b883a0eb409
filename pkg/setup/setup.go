package setup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/agekeys"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// ErrNoAutoscaler means that the runner has no [runners.autoscaler] section, so a manager cannot be started for it.
var ErrNoAutoscaler = errors.New("the runner has no [runners.autoscaler] section: add one, or select another runner")

// Config returns the manager's settings for one runner of the file. It reads the private key from the file that connector_config.key_path
// names, and decrypts it with its passphrase. Errors: ErrNoAutoscaler, those of reading the key, its passphrase, winrm_ca_file or the files of the jump host, a
// *connector.KeyError if the key cannot be used or its passphrase is wrong or absent, a *connector.SettingError if winrm_ca_file has no certificate, and a
// *connector.JumpError if the jump host cannot work. All name the runner and the key of the file.
func Config(r config.Runner) (taskscaler.Config, error) {
	a := r.Autoscaler
	if a == nil {
		return taskscaler.Config{}, fmt.Errorf("%s: %w", r.Title(), ErrNoAutoscaler)
	}
	key, err := loadKey(a.Connector)
	if err != nil {
		return taskscaler.Config{}, fmt.Errorf("%s: %w", r.Title(), err)
	}
	ca, err := loadCA(a.Connector)
	if err != nil {
		return taskscaler.Config{}, fmt.Errorf("%s: %w", r.Title(), err)
	}
	host, err := jump(a.Connector, key)
	if err != nil {
		return taskscaler.Config{}, fmt.Errorf("%s: %w", r.Title(), err)
	}
	return taskscaler.Config{
		Name:                         Name(r),
		CapacityPerInstance:          a.CapacityPerInstance,
		MaxInstances:                 a.MaxInstances,
		MaxUseCount:                  a.MaxUseCount,
		Policies:                     a.Schedule,
		Throttle:                     a.Throttle,
		UpdateInterval:               a.UpdateInterval,
		UpdateIntervalWhenExpecting:  a.UpdateIntervalWhenExpecting,
		FailureThreshold:             a.FailureThreshold,
		RequestedDeadline:            a.InstanceDeadlines.Requested,
		CreatingDeadline:             a.InstanceDeadlines.Creating,
		PreparingDeadline:            a.InstanceDeadlines.Preparing,
		DeletingAlarm:                a.InstanceDeadlines.DeletingAlarm,
		DeletionRetryInterval:        a.DeletionRetryInterval,
		ShutdownDeletionInterval:     a.ShutdownDeletionInterval,
		ShutdownDeletionRetries:      a.ShutdownDeletionRetries,
		InitTimeout:                  a.CallTimeouts.Init,
		UpdateTimeout:                a.CallTimeouts.Update,
		IncreaseTimeout:              a.CallTimeouts.Increase,
		DecreaseTimeout:              a.CallTimeouts.Decrease,
		ConnectInfoTimeout:           a.CallTimeouts.ConnectInfo,
		HeartbeatTimeout:             a.CallTimeouts.Heartbeat,
		ShutdownTimeout:              a.CallTimeouts.Shutdown,
		ReservationDeadline:          a.ReservationDeadline,
		AcquireTimeout:               a.InstanceAcquireTimeout,
		ReattachAfterRestart:         a.ReattachAfterRestart,
		ReattachAfterDisconnect:      a.ReattachAfterDisconnect,
		KeepInstanceWithAcquisitions: a.StateStorage.KeepInstanceWithAcquisitions,
		AdoptPreexisting:             adoption(a),
		Connector:                    a.Connector.ToProvider(key),
		UseExternalAddr:              a.Connector.UseExternalAddr,
		PasswordWithoutHostKey:       a.Connector.PasswordWithoutHostKey,
		AllowLegacySSH:               a.Connector.AllowLegacySSH,
		AllowDHGroupExchange:         a.Connector.AllowDHGroupExchange,
		Jump:                         host,
		WinRM:                        winrm(a.Connector, ca),
		ReadyCommand:                 a.InstanceReadyCommand,
		LogInternalIP:                a.LogInternalIP,
		LogExternalIP:                a.LogExternalIP,
		DeleteOnShutdown:             a.DeleteInstancesOnShutdown,
	}, nil
}

// winrm returns the settings of WinRM. ca is the content of winrm_ca_file.
func winrm(c config.Connector, ca []byte) connector.WinRMOptions {
	return connector.WinRMOptions{Shell: connector.WinRMShell(c.WinRMShell), Auth: connector.WinRMAuth(c.WinRMAuth), CA: ca, Insecure: c.WinRMInsecure}
}

// loadKey returns the private key without its passphrase: decrypting it takes long on purpose, so it is done once and not for each connection. WinRM does not
// use the key, so it is not examined then.
func loadKey(c config.Connector) ([]byte, error) {
	key, err := c.LoadKey()
	if err != nil || key == nil {
		return nil, err
	}
	passphrase, err := c.LoadPassphrase()
	if err != nil {
		return nil, err
	}
	key, err = connector.DecryptKey(key, passphrase)
	if err == nil && !c.WinRM() {
		err = connector.CheckKey(key, dialOptions(c))
	}
	if err != nil {
		return nil, &settingError{"key_path", fmt.Errorf("%s: %w", c.KeyPath, err)}
	}
	return key, nil
}

// loadCA returns the certificates of winrm_ca_file.
func loadCA(c config.Connector) ([]byte, error) {
	ca, err := c.LoadCA()
	if err != nil || c.WinRMCAFile == "" {
		return nil, err
	}
	if err := connector.CheckCA(ca); err != nil {
		return nil, &settingError{"winrm_ca_file", fmt.Errorf("%s: %w", c.WinRMCAFile, err)}
	}
	return ca, nil
}

// adoption returns the mode for adopt_preexisting. A manager whose state is not stored removes every instance that it finds at the start, as
// GitLab Runner does.
func adoption(a *config.Autoscaler) taskscaler.AdoptMode {
	switch {
	case a.AdoptPreexisting == config.AdoptAdopt:
		return taskscaler.AdoptAll
	case a.AdoptPreexisting == config.AdoptRemove, !a.StateStorage.Enabled:
		return taskscaler.AdoptRemove
	}
	return taskscaler.AdoptHold
}

// Name returns the runner's label for logs and Status: its name, or config.Runner.Label if it has none.
func Name(r config.Runner) string {
	if r.Name != "" {
		return r.Name
	}
	return r.Label()
}

// Plugin finds the plugin of one runner of the file and returns the options to launch it. It does not set the logger. If there is a lock file beside the
// configuration ([ReadLock]), the plugin must be in it, and only the bytes that it names run. Errors: ErrNoAutoscaler, those of plugin.Locate, and a
// *LockError. They name the runner.
func Plugin(file *config.File, r config.Runner, find plugin.FindOptions) (plugin.LaunchOptions, error) {
	a := r.Autoscaler
	if a == nil {
		return plugin.LaunchOptions{}, fmt.Errorf("%s: %w", r.Title(), ErrNoAutoscaler)
	}
	found, err := Locate(a.Plugin, file.Path, find)
	if err != nil {
		return plugin.LaunchOptions{}, fmt.Errorf("%s: %w", r.Title(), err)
	}
	sum, from, err := found.sum(a.PluginSHA256)
	if err != nil {
		return plugin.LaunchOptions{}, fmt.Errorf("%s: %w", r.Title(), err)
	}
	return plugin.LaunchOptions{
		Path: found.Path, Dir: filepath.Dir(file.Path), Config: a.PluginConfig.Raw(), StateDir: pluginStateDir(r), SHA256: sum, SHA256From: from, Version: found.Constraint, Env: environment(a.PluginEnv),
		InsecurePath: a.PluginInsecurePath || a.PluginSHA256 != "", // pinned by the configuration, no other bytes run, whoever can replace the file
		InitTimeout:  a.CallTimeouts.Init, ShutdownTimeout: a.CallTimeouts.Shutdown,
	}, nil
}

func environment(entries []config.Secret) (env []string) {
	for _, e := range entries {
		env = append(env, e.Reveal())
	}
	return env
}

// pluginStateDir returns the folder of the plugin's own state, in that of the runner; "" if there is none: without a state storage, and for a runner that
// shares its identity, because the plugin tells them apart only in its Init.
func pluginStateDir(r config.Runner) string {
	if !r.Autoscaler.StateStorage.Enabled || r.Shared {
		return ""
	}
	return filepath.Join(StateDir(r, ""), "plugin")
}

// CheckPlugin finds the plugin of one runner of the file, as Plugin does, and checks that no other user can replace it (plugin.CheckPath), unless
// plugin_insecure_path or plugin_sha256 is set; and that it has the sum of plugin_sha256 or of the lock file. The answer holds for this machine and the user
// of this process. It starts nothing.
func CheckPlugin(file *config.File, r config.Runner, find plugin.FindOptions) error {
	launch, err := Plugin(file, r, find)
	if err != nil {
		return err
	}
	if !launch.InsecurePath {
		if err := plugin.CheckPath(launch.Path); err != nil {
			return err
		}
	}
	if launch.SHA256 == "" {
		return nil
	}
	got, err := plugin.Sum(launch.Path)
	switch {
	case err != nil || strings.EqualFold(got, launch.SHA256):
		return err
	case launch.SHA256From == "":
		return fmt.Errorf("%s has the SHA-256 sum %s, but plugin_sha256 is %s: if you have updated the plugin, update plugin_sha256 too", launch.Path, got, launch.SHA256)
	}
	return otherBytes(filepath.Join(launch.Dir, LockFile), r.Autoscaler.Plugin, launch.SHA256, launch.Path, got)
}

// StateOptions returns the options to open the runner's state with statestore.OpenBolt. It reads the key that state_storage names. getenv is
// os.Getenv. Errors name the runner: ErrNoAutoscaler, and those of agekeys.Load and agekeys.LoadCredential.
func StateOptions(r config.Runner, getenv func(string) string) (statestore.BoltOptions, error) {
	if r.Autoscaler == nil {
		return statestore.BoltOptions{}, fmt.Errorf("%s: %w", r.Title(), ErrNoAutoscaler)
	}
	storage := r.Autoscaler.StateStorage
	o := statestore.BoltOptions{Plain: !storage.Encrypt}
	var keys *agekeys.Keys
	var err error
	switch {
	case storage.KeyFile != "":
		keys, err = agekeys.Load(storage.KeyFile)
	case storage.KeyCredential != "":
		keys, err = agekeys.LoadCredential(storage.KeyCredential, getenv)
	default:
		return o, nil
	}
	if err != nil {
		return statestore.BoltOptions{}, fmt.Errorf("%s: state_storage: %w", r.Title(), err)
	}
	o.Keyring = keys
	return o, nil
}

// StateDir returns the directory of the runner's state, for statestore.OpenBolt. Each runner of a file has its own directory in
// state_storage.dir. The runner must have a [runners.autoscaler] section.
//
// group is ProviderInfo.ID. It is needed only if the runner shares its identity with another runner of the file (config.Runner.Shared).
// Otherwise it may be empty.
func StateDir(r config.Runner, group string) string {
	identity := r.Identity()
	if r.Shared {
		identity = r.GroupIdentity(group)
	}
	return filepath.Join(r.Autoscaler.StateStorage.Dir, identity)
}
