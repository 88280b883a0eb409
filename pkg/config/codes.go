package config

// The codes of faults. A notice about a period has the code that package policy gives it.
const (
	CodeSyntax      = "syntax"        // the file is not valid TOML
	CodeUnknownKey  = "unknown_key"   // a key that does not exist
	CodeType        = "type"          // a value of the wrong type
	CodeNegative    = "negative"      // a count or duration below zero
	CodeRange       = "range"         // a number outside its allowed range
	CodeValue       = "value"         // a text that is not an allowed value
	CodeText        = "text"          // a text that cannot be shown as one line, or is too long
	CodeDuration    = "duration"      // a text that is not a duration
	CodeMissing     = "missing"       // a required key that is absent
	CodeUnsupported = "unsupported"   // a setting for which a manager refuses the runner; Parse only warns of it
	CodePeriod      = "period"        // a period that cannot be read
	CodeTimezone    = "timezone"      // an unknown time zone
	CodePlugin      = "plugin"        // a text that has neither the form of a plugin name nor that of a path
	CodeJSON        = "json"          // bad JSON, or a value that JSON cannot hold
	CodeNoSection   = "no_autoscaler" // executor docker-autoscaler or instance without [runners.autoscaler]
	CodeSchedule    = "schedule"      // policies that cannot be compiled, for a reason that no other code covers
	CodeFile        = "file"          // a file that the configuration names but that cannot be read (CheckFiles only)
)

// The codes of warnings.
const (
	CodeLoneRunners    = "lone_runners_table"      // [runners] instead of [[runners]]
	CodeLonePolicy     = "lone_policy_table"       // [runners.autoscaler.policy] instead of [[runners.autoscaler.policy]]
	CodeImagesString   = "allowed_images_string"   // allowed_images as a comma-separated string
	CodeNestingString  = "nesting_config_string"   // nesting_config as a string of JSON
	CodeNoFleet        = "no_autoscaling_runner"   // no runner of the file has [runners.autoscaler]
	CodeExecutor       = "executor"                // an executor that GitLab Runner does not autoscale
	CodeFactorNoEffect = "factor_never_acts"       // scale_factor_limit not above idle_count
	CodeCapacity       = "capacity_out_of_reach"   // concurrent or limit below max_instances × capacity_per_instance
	CodeIdleJobs       = "idle_above_jobs"         // idle_count is above concurrent or limit
	CodeIdleCapacity   = "idle_above_capacity"     // idle_count is above max_instances × capacity_per_instance
	CodeIdleTimeZero   = "idle_time_zero"          // idle_time 0 with idle_count above 0
	CodeShadowed       = "policy_never_holds"      // at each minute of this policy a later policy wins
	CodePreemptive     = "preemptive_without_idle" // preemptive_mode with idle_count 0
	CodeNoTimezone     = "no_timezone"             // periods with hours, but no time zone
	CodeBurstIgnored   = "burst_ignored"           // burst is set, but limit = -1
	CodeStateDisabled  = "state_storage_disabled"  // state_storage.enabled = false
	CodeIsolation      = "vm_isolation"            // vm_isolation.enabled = true
	CodePluginRegistry = "plugin_registry"         // one of GitLab's own plugins, which taskscaler cannot use
	CodePluginPath     = "plugin_insecure_path"    // a plugin that other users may replace is accepted
	CodePluginUnknown  = "plugin_unknown"          // a plugin that GitLab Runner has and taskscaler does not
	CodeJump           = "proxy_jump"              // a jump host that cannot be used, or a key of it that is not used
	CodeWinRM          = "winrm"                   // a setting of WinRM that is not used, not safe or not possible
	CodePassword       = "password_only"           // a password without a key, and without password_without_host_key
	CodePassphrase     = "passphrase_unused"       // a passphrase without a key file
	CodeZeroDefault    = "zero_is_default"         // a key is 0, which means the default
	CodeDeadlineShort  = "deadline_below_interval" // a deadline of instances is shorter than the interval of the lists that could show them
	CodeAccess         = "access"                  // other users can read or write a file
	CodeBounds         = "too_large"               // more keys, or tables nested deeper, than can be read
	CodeUnbounded      = "concurrent_zero"         // concurrent = 0, which GitLab Runner refuses
)
