package config

// The codes of faults. A notice about a period keeps the code that package policy gave it.
const (
	CodeSyntax     = "syntax"        // no TOML
	CodeUnknownKey = "unknown_key"   // a key that does not exist
	CodeType       = "type"          // a value of the wrong type
	CodeNegative   = "negative"      // a count or duration below zero
	CodeRange      = "range"         // a number that is out of its range
	CodeValue      = "value"         // a text that is none of those allowed
	CodeDuration   = "duration"      // a text that is no duration
	CodeMissing    = "missing"       // something that is needed
	CodePeriod     = "period"        // a period that cannot be read
	CodeTimezone   = "timezone"      // an unknown time zone
	CodePlugin     = "plugin"        // a plugin name that cannot be one
	CodeJSON       = "json"          // bad JSON, or a value that JSON cannot hold
	CodeNoSection  = "no_autoscaler" // executor docker-autoscaler or instance without [runners.autoscaler]
	CodeSchedule   = "schedule"      // policies that cannot be compiled, for a reason found nowhere else
	CodeFile       = "file"          // a file that is named but cannot be read (CheckFiles only)
)

// The codes of warnings.
const (
	CodeLoneRunners    = "lone_runners_table"      // [runners] where [[runners]] is meant
	CodeLonePolicy     = "lone_policy_table"       // [runners.autoscaler.policy] where [[…]] is meant
	CodeImagesString   = "allowed_images_string"   // allowed_images as a comma-separated string
	CodeNestingString  = "nesting_config_string"   // nesting_config as a string of JSON
	CodeNoFleet        = "no_autoscaling_runner"   // nothing in the file for taskscaler
	CodeExecutor       = "executor"                // an executor that GitLab Runner does not scale
	CodeFactorNoEffect = "factor_never_acts"       // scale_factor_limit not above idle_count
	CodeCapacity       = "capacity_out_of_reach"   // concurrent or limit below max_instances × capacity_per_instance
	CodeIdleJobs       = "idle_above_jobs"         // idle_count above concurrent or limit
	CodeIdleCapacity   = "idle_above_capacity"     // idle_count above max_instances × capacity_per_instance
	CodeIdleTimeZero   = "idle_time_zero"          // idle_time 0 with idle_count above 0
	CodeShadowed       = "policy_never_holds"      // later policies always win
	CodePreemptive     = "preemptive_without_idle" // preemptive_mode with idle_count 0
	CodeNoTimezone     = "no_timezone"             // hours without a time zone
	CodeBurstIgnored   = "burst_ignored"           // burst beside limit -1
	CodeStateDisabled  = "state_storage_disabled"  // state_storage.enabled = false
	CodeIsolation      = "vm_isolation"            // vm_isolation.enabled = true
)
