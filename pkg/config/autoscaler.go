package config

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// autoscaler reads [runners.autoscaler]. section.table has already reported the unknown keys.
func (r *reader) autoscaler(s section) *Autoscaler {
	if s.n == nil {
		return nil
	}
	a := &Autoscaler{
		Line:                        s.n.line,
		lines:                       linesOf(s.n),
		CapacityPerInstance:         s.capacity(),
		MaxUseCount:                 s.count("max_use_count"),
		MaxInstances:                s.count("max_instances"),
		Plugin:                      r.plugin(s),
		PluginConfig:                r.pluginConfig(s),
		PluginSHA256:                r.checksum(s),
		PluginInsecurePath:          s.flag("plugin_insecure_path", false),
		PluginEnv:                   s.environment("plugin_env"),
		Connector:                   r.connector(s.table("connector_config")),
		InstanceReadyCommand:        s.str("instance_ready_command", ""),
		InstanceAcquireTimeout:      s.duration("instance_acquire_timeout", 15*time.Minute),
		UpdateInterval:              s.duration("update_interval", time.Minute),
		UpdateIntervalWhenExpecting: s.duration("update_interval_when_expecting", 2*time.Second),
		DeletionRetryInterval:       s.duration("deletion_retry_interval", time.Minute),
		ShutdownDeletionInterval:    s.duration("shutdown_deletion_interval", 10*time.Second),
		ShutdownDeletionRetries:     s.positive("shutdown_deletion_retries", 3),
		FailureThreshold:            s.positive("failure_threshold", 3),
		ReservationThrottling:       s.flag("reservation_throttling", true),
		LogInternalIP:               s.flag("log_internal_ip", false),
		LogExternalIP:               s.flag("log_external_ip", false),
		DeleteInstancesOnShutdown:   s.flag("delete_instances_on_shutdown", false),
		StateStorage:                r.stateStorage(s.table("state_storage")),
		Journal:                     r.journal(s.table("journal")),
		VMIsolation:                 r.vmIsolation(s.table("vm_isolation")),
		Buckets:                     r.bucketsOf(s),
		AdoptPreexisting: Adoption(s.choice("adopt_preexisting", string(AdoptHold), same("hold", "adopt", "remove"),
			[]string{"hold", "adopt", "remove"})),
		ReservationDeadline:     s.duration("reservation_deadline", 2*time.Minute),
		ReattachAfterRestart:    s.duration("reattach_after_restart", 5*time.Minute),
		ReattachAfterDisconnect: s.duration("reattach_after_disconnect", 30*time.Second),
	}
	a.Throttle = r.throttle(s.table("scale_throttle"), a.MaxInstances)
	a.InstanceDeadlines = r.deadlines(s.table("instance_deadlines"), a.Connector.Timeout)
	a.CallTimeouts = r.callTimeouts(s.table("call_timeouts"))
	r.warnDeadlines(s, a)
	s.warnInsecurePath(a)
	r.policies(s, a)
	return a
}

// maxCapacity is far more than any instance can run. The core keeps one list of instances for each number of free slots, so it must be bounded.
const maxCapacity = 10_000

func (s section) capacity() int {
	const name = "capacity_per_instance"
	v := s.positive(name, 1)
	if v > maxCapacity {
		s.fault(CodeRange, s.get(name), name, fmt.Sprintf("is %d, but an instance has at most %d slots", v, maxCapacity),
			"write how many jobs one instance runs at once; max_instances bounds the number of instances")
		return 1
	}
	return v
}

// plugin checks only the form of the name. Whether the plugin is installed is found out when it is started. A relative path begins at the folder of the file.
func (r *reader) plugin(s section) string {
	n := s.get("plugin")
	if n == nil || n.value == "" {
		if !r.fragment {
			at := n
			if at == nil {
				at = s.n
			}
			s.fault(CodeMissing, at, "plugin", "is missing: [runners.autoscaler] needs a provider plugin", `write plugin = "fake", for example`)
		}
		return ""
	}
	text := s.line("plugin")
	if text == "" {
		return ""
	}
	if isPath(text) {
		return filepath.Clean(r.resolve(text))
	}
	ref, err := parsePlugin(text)
	switch {
	case strings.HasPrefix(text, "~"):
		s.fault(CodePlugin, n, "plugin", fmt.Sprintf("%q begins with ~, which is not expanded in this file", text), "write the absolute path of the binary")
	case err != nil:
		s.fault(CodePlugin, n, "plugin", fmt.Sprintf("%q is not a plugin name: %v", text, err),
			`write name, repository/name or registry/repository/name, each with an optional :version such as ":1.5"; or the path of the binary`)
	case ref.gitLabs():
		s.warn(CodePluginRegistry, n, "plugin", fmt.Sprintf("%q names GitLab's build of this plugin, which does not speak taskscaler's protocol, so "+
			"run and exec refuse this runner", text), fmt.Sprintf("write plugin = %q and install that plugin for taskscaler: docs/plugins.md", ref.bare()))
	case ref.bare() == "azure":
		s.warn(CodePluginUnknown, n, "plugin", "there is no azure plugin for taskscaler yet, so run and exec refuse this runner until you install one",
			"docs/plugins.md says how to write or port a plugin")
	}
	return text
}

func (r *reader) pluginConfig(s section) RawConfig {
	n := s.get("plugin_config")
	switch {
	case n == nil:
		return newRawConfig([]byte("{}"))
	case n.kind != kindTable:
		s.mistyped(n, "plugin_config", "a table", "write it as [runners.autoscaler.plugin_config]")
		return newRawConfig([]byte("{}"))
	}
	return newRawConfig(s.json(n, "plugin_config"))
}

var hex64 = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

func (r *reader) checksum(s section) string {
	text := s.str("plugin_sha256", "")
	if text != "" && !hex64.MatchString(text) {
		s.fault(CodeValue, s.get("plugin_sha256"), "plugin_sha256", "is not a SHA-256 checksum in hex, which has 64 digits",
			"copy the output of: sha256sum <the plugin's binary>")
		return ""
	}
	return strings.ToLower(text)
}

func (r *reader) stateStorage(s section) StateStorage {
	out := StateStorage{
		Enabled: s.flag("enabled", true), EnabledSet: s.has("enabled"),
		KeepInstanceWithAcquisitions: s.flag("keep_instance_with_acquisitions", false),
	}
	r.stateKey(s, &out)
	dir := s.line("dir")
	if dir == "" {
		dir = defaultStateDir
	}
	out.Dir = r.resolve(dir)
	if !out.Enabled {
		s.warn(CodeStateDisabled, s.get("enabled"), "enabled",
			"no state is stored, so a restart removes every instance that it finds, and the jobs on it",
			"remove the line, or write enabled = true")
	}
	return out
}

// stateKey reads which key encrypts the state.
func (r *reader) stateKey(s section, out *StateStorage) {
	text := s.line("key_file")
	credential, isCredential := strings.CutPrefix(text, "$CREDENTIALS_DIRECTORY/")
	switch {
	case !isCredential:
		out.KeyFile = r.resolve(text)
	case credential == "" || credential == "." || credential == ".." || strings.ContainsAny(credential, "/\\\x00"):
		s.fault(CodeValue, s.get("key_file"), "key_file", fmt.Sprintf("%q is not the name of a credential", credential),
			"write the name that stands before the colon in LoadCredential=NAME:FILE")
	default:
		out.KeyCredential = credential
	}
	out.Encrypt = s.flag("encrypt", text != "")
	if out.Encrypt && text == "" {
		s.fault(CodeMissing, s.get("encrypt"), "encrypt", "is true, but there is no key", "add key_file")
		out.Encrypt = false
	}
}

// The bounds of max_size, in bytes. 1 MiB holds eight files, together some hours of a small group. More than 1 TiB is too much to read.
const (
	minJournal     = 1 << 20
	defaultJournal = 64 << 20
	maxJournal     = 1 << 40
)

func (r *reader) journal(s section) Journal {
	return Journal{Enabled: s.flag("enabled", true), MaxSize: s.size("max_size", defaultJournal, minJournal, maxJournal)}
}

func (r *reader) vmIsolation(s section) VMIsolation {
	v := VMIsolation{
		Enabled: s.flag("enabled", false), NestingHost: s.line("nesting_host"), Image: s.line("image"),
		NestingConfig: r.nestingConfig(s), Connector: r.connector(s.table("connector_config")),
	}
	if v.Enabled {
		s.warn(CodeIsolation, s.get("enabled"), "enabled", "nested machines are not supported yet: run and exec refuse this runner",
			"remove the line, or write enabled = false")
	}
	return v
}

func (r *reader) bucketsOf(s section) Buckets {
	return Buckets{
		OperationTime: s.buckets("instance_operation_time_buckets"),
		CreationTime:  s.buckets("instance_creation_time_buckets"),
		IsRunningTime: s.buckets("instance_is_running_time_buckets"),
		DeletionTime:  s.buckets("instance_deletion_time_buckets"),
		ReadinessTime: s.buckets("instance_readiness_time_buckets"),
		LifeDuration:  s.buckets("instance_life_duration_buckets"),
	}
}

func (r *reader) deadlines(s section, connect time.Duration) InstanceDeadlines {
	return InstanceDeadlines{
		Requested:     s.duration("requested", 10*time.Minute),
		Creating:      s.duration("creating", 15*time.Minute),
		Preparing:     s.duration("preparing", connect+readyCommandTime),
		DeletingAlarm: s.duration("deleting_alarm", time.Hour),
	}
}

func (r *reader) callTimeouts(s section) CallTimeouts {
	return CallTimeouts{
		Init:        s.duration("init", 2*time.Minute),
		Update:      s.duration("update", 2*time.Minute),
		Increase:    s.duration("increase", 10*time.Minute),
		Decrease:    s.duration("decrease", 5*time.Minute),
		ConnectInfo: s.duration("connect_info", time.Minute),
		Heartbeat:   s.duration("heartbeat", 30*time.Second),
		Shutdown:    s.duration("shutdown", 30*time.Second),
	}
}

// throttle reads a scale_throttle and fills in the defaults: limit 100 a second; burst max_instances, or limit when max_instances is 0.
func (r *reader) throttle(s section, maxInstances int) policy.Throttle {
	limit, burst := s.number("limit"), s.count("burst")
	switch {
	case limit == -1:
		if s.has("burst") {
			s.warn(CodeBurstIgnored, s.get("burst"), "burst", "is ignored, because limit = -1 turns the throttle off", "remove burst, or write a limit")
		}
		return policy.Throttle{Limit: -1}
	case limit < 0:
		s.fault(CodeNegative, s.get("limit"), "limit", fmt.Sprintf("is %v, but a limit cannot be negative", limit), "write a positive number, or -1 for no limit")
		limit = 0
	}
	if limit > 0 && limit < policy.MinLimit {
		s.fault(CodeRange, s.get("limit"), "limit", fmt.Sprintf("is %v a second, which is less than one create a year", limit), "write a higher limit, or -1 for no limit")
		limit = 0
	}
	if limit == 0 {
		limit = defaultThrottleLimit
		s.zero("limit", strconv.Itoa(defaultThrottleLimit)+" a second")
	}
	if burst == 0 {
		burst = maxInstances
		if burst == 0 {
			burst = int(min(max(math.Ceil(limit), 1), math.MaxInt32))
		}
		s.zero("burst", strconv.Itoa(burst))
	}
	return policy.Throttle{Limit: limit, Burst: burst}
}
