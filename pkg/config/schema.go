package config

// The keys of each section. Meanings are Markdown and end up in docs/configuration.md.

var headKeys = []Key{
	{"concurrent", TypeInteger, "not set", "Most jobs that the runner process takes at once, over all runners. taskscaler does not enforce it; it " +
		"is compared with what the fleet can hold.", GitLab, NotUsed},
	{"check_interval", TypeSeconds, "3", "How often the runner asks for jobs; `simulate` uses it. 0 is the default.", GitLab, NotUsed},
	{"shutdown_timeout", TypeSeconds, "0", "Bound of the drain when the manager is told to stop. 0: no bound.", GitLab, Restart},
	{"log_level", TypeString, "info", "`debug`, `info`, `warn` or `error`; `trace` counts as `debug`, `fatal` and `panic` as `error`.",
		GitLab, Restart},
	{"log_format", TypeString, "text", "`text` or `json`; `runner` counts as `text`.", GitLab, Restart},
	{"listen_address", TypeString, "empty", "Address for metrics, `host:port`. Read and checked, without an effect yet: nothing " +
		"listens there.", GitLab, NotUsed},
	{"runners", TypeTables, "none", "The runners, each a `[[runners]]`. A lone `[runners]` table is one runner, with a warning. " +
		"Those that come or go need a restart.", GitLab, Restart},
}

var runnerKeys = []Key{
	{"name", TypeString, "empty", "A name for people, for `--runner`, and for the runner's identity where it has no id.", GitLab, Restart},
	{"url", TypeString, "empty", "Address of the GitLab instance. Half of the runner's identity.", GitLab, Restart},
	{"id", TypeInteger, "none", "The runner's number on its GitLab instance. The other half of its identity.", GitLab, Restart},
	{"token", TypeString, "empty", "The runner's token: never printed, never part of an identity.", GitLab, NotUsed},
	{"executor", TypeString, "", "`docker-autoscaler` or `instance`. Needed beside `[runners.autoscaler]`; with one of these two, that section " +
		"is needed.", GitLab, NotUsed},
	{"limit", TypeInteger, "0", "Most jobs of this runner at once. 0: no limit. Not enforced by taskscaler; compared with what the fleet can hold.",
		GitLab, NotUsed},
	{"instance", TypeTable, "", "The instance executor's own section.", GitLab, NotUsed},
	{"autoscaler", TypeTable, "", "The fleet of this runner. Without it the runner is none of taskscaler's business. Its keys, below, speak for " +
		"themselves; the section's coming or going needs a restart.", GitLab, Restart},
}

var instanceKeys = []Key{
	{"allowed_images", TypeStrings, "empty", "Images that a job may ask for in a nested machine. A comma-separated string is taken, with a warning.",
		GitLab, NotUsed},
	{"use_common_build_dir", TypeBoolean, "false", "Whether jobs on one instance share a build directory.", GitLab, NotUsed},
}

var autoscalerKeys = []Key{
	{"capacity_per_instance", TypeInteger, "1", "Slots of an instance: jobs that it runs at once, at most 10000. 0 is the default.", GitLab, Live},
	{"max_use_count", TypeInteger, "0", "Jobs that an instance runs before it is removed. 0: no limit.", GitLab, Live},
	{"max_instances", TypeInteger, "0", "Most instances, in every state together. 0: as many as the provider's group can hold.", GitLab, Live},
	{"plugin", TypeString, "", "The provider plugin, by its name: see above. Required.", GitLab, Restart},
	{"plugin_config", TypeAny, "empty", "The plugin's own configuration. Every key is passed on as JSON; dates become RFC 3339 strings.",
		GitLab, Restart},
	{"plugin_sha256", TypeString, "empty", "SHA-256 of the plugin's binary in hex. When set, no other binary is started.", Ours, Restart},
	{"connector_config", TypeTable, "", "How instances are reached.", GitLab, Restart},
	{"instance_ready_command", TypeString, "empty", "A command that must succeed on an instance before it is given jobs.", GitLab, NewInstances},
	{"instance_acquire_timeout", TypeDuration, "15m", "How long a job waits for a slot.", GitLab, Live},
	{"update_interval", TypeDuration, "1m", "How often the provider is asked for its instances.", GitLab, Live},
	{"update_interval_when_expecting", TypeDuration, "2s", "The same while instances are expected to change.", GitLab, Live},
	{"deletion_retry_interval", TypeDuration, "1m", "How long after a removal that had no effect it is asked for again.", GitLab, Live},
	{"shutdown_deletion_interval", TypeDuration, "10s", "How long after a removal at shutdown its effect is looked for.", GitLab, Live},
	{"shutdown_deletion_retries", TypeInteger, "3", "How often a removal at shutdown is tried again. 0 is the default.", GitLab, Live},
	{"failure_threshold", TypeInteger, "3", "Health checks that may fail in a row before an instance is replaced. 0 is the default.", GitLab, Live},
	{"scale_throttle", TypeTable, "", "How fast instances are created.", GitLab, Live},
	{"reservation_throttling", TypeBoolean, "true", "Whether asking for jobs is held back while no slot can be promised. Without an " +
		"effect yet.", GitLab, NotUsed},
	{"log_internal_ip", TypeBoolean, "false", "Whether an instance's internal address is logged.", GitLab, Live},
	{"log_external_ip", TypeBoolean, "false", "Whether an instance's external address is logged.", GitLab, Live},
	{"delete_instances_on_shutdown", TypeBoolean, "false", "Whether the fleet is removed when the manager stops.", GitLab, Live},
	{"state_storage", TypeTable, "", "What the manager remembers over a restart.", GitLab, Restart},
	{"journal", TypeTable, "", "What the manager was told, kept for `explain` and `replay`.", Ours, Restart},
	{"vm_isolation", TypeTable, "", "Nested machines. Parsed and checked; `run` and `exec` refuse a runner that enables them, until they exist.",
		GitLab, Restart},
	{"instance_operation_time_buckets", TypeNumbers, "the metric's own", "Histogram bounds in seconds, rising: provider operations. Without " +
		"an effect yet, as the five below: there are no metrics.",
		GitLab, NotUsed},
	{"instance_creation_time_buckets", TypeNumbers, "the metric's own", "The same: from the request to the instance's appearance.", GitLab, NotUsed},
	{"instance_is_running_time_buckets", TypeNumbers, "the metric's own", "The same: from the request to running.", GitLab, NotUsed},
	{"instance_deletion_time_buckets", TypeNumbers, "the metric's own", "The same: from the removal to gone.", GitLab, NotUsed},
	{"instance_readiness_time_buckets", TypeNumbers, "the metric's own", "The same: from the request to ready for jobs.", GitLab, NotUsed},
	{"instance_life_duration_buckets", TypeNumbers, "the metric's own", "The same: an instance's whole life.", GitLab, NotUsed},
	{"policy", TypeTables, "none", "What is kept idle, and when. The last policy whose period holds wins; without any, nothing is kept " +
		"idle and an idle instance goes after 5m. A single `[runners.autoscaler.policy]` table is one policy, with a warning.", GitLab, Live},
	{"instance_deadlines", TypeTable, "", "How long an instance may stay in a state before it is given up.", Ours, NewInstances},
	{"adopt_preexisting", TypeString, "hold", "What becomes of instances found beside an empty or foreign state: `hold` (counted, " +
		"neither used nor removed), `adopt` or `remove`.", Ours, Live},
	{"reservation_deadline", TypeDuration, "2m", "How long a reservation is kept that is never acquired.", Ours, Live},
	{"reattach_after_restart", TypeDuration, "5m", "How long a lease waits for its caller after the manager was started again.", Ours, Restart},
	{"reattach_after_disconnect", TypeDuration, "30s", "How long a lease waits for its caller after the connection between them was lost.",
		Ours, Live},
}

var connectorKeys = []Key{
	{"os", TypeString, "from the plugin", "`linux`, `windows`, `darwin` (or `macos`), in any case.", GitLab, Restart},
	{"arch", TypeString, "from the plugin", "`amd64` (or `x86_64`, `x64`), `arm64` (or `aarch64`, `arm`), in any case.", GitLab, Restart},
	{"protocol", TypeString, "ssh; winrm on windows", "`ssh`, `winrm` or `winrm+https`.", GitLab, Restart},
	{"protocol_port", TypeInteger, "22, 5985 or 5986", "Port of the protocol, 1 to 65535. 0 is the default.", GitLab, Restart},
	{"username", TypeString, "from the plugin", "User to log in as.", GitLab, Restart},
	{"password", TypeString, "from the plugin", "Password to log in with: never printed.", GitLab, Restart},
	{"key_path", TypeString, "from the plugin", "File of the private key to log in with, taken from the folder of the config file when relative.",
		GitLab, Restart},
	{"use_static_credentials", TypeBoolean, "false", "Whether the credentials above are used as they are, without asking the provider for others.",
		GitLab, Restart},
	{"keepalive", TypeDuration, "30s", "How often a connection is probed.", GitLab, Restart},
	{"timeout", TypeDuration, "10m", "How long connecting to a new instance is tried.", GitLab, Restart},
	{"use_external_addr", TypeBoolean, "false", "Whether the external address is used. Where an instance has only one, that one is.",
		GitLab, Restart},
}

var throttleKeys = []Key{
	{"limit", TypeNumber, "100", "Instances created a second, in the long run; a fraction is allowed. 0 is the default, -1 no limit (then " +
		"`burst` is ignored).",
		GitLab, Live},
	{"burst", TypeInteger, "max_instances, else limit", "Instances that may be created at once after a pause. 0 is the default.", GitLab, Live},
}

var policyKeys = []Key{
	{"periods", TypeStrings, `["* * * * *"]`, "When the policy holds: cron fields (minute, hour, day of month, month, day of week) read as a " +
		"mask in time.", GitLab, Live},
	{"timezone", TypeString, "the machine's", "IANA name of the zone that `periods` are in, e.g. `Europe/Berlin`.", GitLab, Live},
	{"idle_count", TypeInteger, "0", "Free slots to keep, counted in jobs and not in instances.", GitLab, Live},
	{"idle_time", TypeDuration, "5m", "How long an instance is idle before it may go. `\"0s\"`: at once.", GitLab, Live},
	{"scale_factor", TypeNumber, "0", "Free slots to keep for each job that runs or waits. 0: off.", GitLab, Live},
	{"scale_factor_limit", TypeInteger, "0", "Most free slots that `scale_factor` asks for. 0: no limit.", GitLab, Live},
	{"scale_factor_mode", TypeString, "max", "`max`: the larger of `idle_count` and the factor's part; `add`: the factor's part on top of `idle_count`.",
		Ours, Live},
	{"preemptive_mode", TypeBoolean, "idle_count > 0", "Whether jobs are asked for only while a ready slot is free for them.", GitLab, Live},
	{"scale_throttle", TypeTable, "the group's", "Replaces the group's throttle while the policy holds.", Ours, Live},
}

var storageKeys = []Key{
	{"enabled", TypeBoolean, "true", "Whether the state is stored. (GitLab Runner's default is false.) With false all instances found at the " +
		"start are removed.",
		GitLab, Restart},
	{"dir", TypeString, ".taskscaler", "Folder of the state, taken from the folder of the config file when relative. Each runner has a folder " +
		"of its own in it.",
		GitLab, Restart},
	{"keep_instance_with_acquisitions", TypeBoolean, "false", "Whether an instance whose lease was abandoned over a restart returns to service.",
		GitLab, Restart},
}

var journalKeys = []Key{
	{"enabled", TypeBoolean, "true", "Whether a journal is kept, in `journal` in the runner's folder of `state_storage.dir` (also where no state is " +
		"stored). It holds no secrets.", Ours, Restart},
	{"max_size", TypeString, "64MiB", "Most that all files of the journal take, `1MiB` to `1024GiB`: then the oldest go.", Ours, Restart},
}

var deadlineKeys = []Key{
	{"requested", TypeDuration, "10m", "From the request until the provider lists the instance.", Ours, NewInstances},
	{"creating", TypeDuration, "15m", "From its appearance until it runs.", Ours, NewInstances},
	{"preparing", TypeDuration, "connector timeout + 10m", "From running until the ready command has succeeded.", Ours, NewInstances},
	{"deleting_alarm", TypeDuration, "1h", "How long a removal may take before an alarm; it is retried for ever.", Ours, NewInstances},
}

var isolationKeys = []Key{
	{"enabled", TypeBoolean, "false", "Whether each job runs in a machine nested in its instance.", GitLab, Restart},
	{"nesting_host", TypeString, "empty", "Address of the nesting daemon on the instance.", GitLab, NotUsed},
	{"nesting_config", TypeAny, "empty", "The nesting daemon's own configuration. A string of JSON is taken, with a warning.", GitLab, NotUsed},
	{"image", TypeString, "empty", "Image of the nested machine where a job names none.", GitLab, NotUsed},
	{"connector_config", TypeTable, "", "How nested machines are reached; the keys are those of the instance's.", GitLab, NotUsed},
}
