package config

// The keys of each section. The meanings are Markdown; docs/configuration.md is generated from them.

var headKeys = []Key{
	{"concurrent", TypeInteger, "not set", "The most jobs that the runner process runs at once, for all runners together. taskscaler does not enforce " +
		"it. `validate` compares it with the size of each group.", GitLab, NotUsed},
	{"check_interval", TypeSeconds, "3", "How often the runner asks GitLab for jobs. Only `simulate` uses it. 0 means the default.", GitLab, NotUsed},
	{"shutdown_timeout", TypeSeconds, "0", "How long the drain may take when the manager is told to stop. 0: no limit.", GitLab, Restart},
	{"log_level", TypeString, "info", "`debug`, `info`, `warn` or `error`. `trace` means `debug`; `fatal` and `panic` mean `error`.",
		GitLab, Restart},
	{"log_format", TypeString, "text", "`text` or `json`. `runner` means `text`.", GitLab, Restart},
	{"listen_address", TypeString, "empty", "Address of the metrics server, `host:port`. It is read, but has no effect yet: there " +
		"is no metrics server.", GitLab, NotUsed},
	{"runners", TypeTables, "none", "The runners, each written as `[[runners]]`. A single `[runners]` table is read as one runner, with a warning. " +
		"A new or removed runner takes effect after a restart.", GitLab, Restart},
}

var runnerKeys = []Key{
	{"name", TypeString, "empty", "The runner's name, for messages and `--runner`. It is part of the runner's identity if the runner has no id.", GitLab, Restart},
	{"url", TypeString, "empty", "The address of GitLab. It is one part of the runner's identity.", GitLab, Restart},
	{"id", TypeInteger, "none", "The runner's number in GitLab. It is the other part of the runner's identity.", GitLab, Restart},
	{"token", TypeString, "empty", "The runner's token. It is never printed and is not part of the identity.", GitLab, NotUsed},
	{"executor", TypeString, "", "`docker-autoscaler` or `instance`. A runner with `[runners.autoscaler]` needs it, and a runner with one of these " +
		"two needs `[runners.autoscaler]`.", GitLab, NotUsed},
	{"limit", TypeInteger, "0", "The most jobs of this runner at once. 0: no limit. taskscaler does not enforce it. `validate` compares it with the " +
		"size of the group.",
		GitLab, NotUsed},
	{"instance", TypeTable, "", "The section of the instance executor.", GitLab, NotUsed},
	{"autoscaler", TypeTable, "", "The settings of this runner's group. taskscaler ignores a runner without this section. To add or remove " +
		"the section needs a restart; its keys are listed below.", GitLab, Restart},
}

var instanceKeys = []Key{
	{"allowed_images", TypeStrings, "empty", "Images that a job may request in a nested machine. A comma-separated string is accepted, with a warning.",
		GitLab, NotUsed},
	{"use_common_build_dir", TypeBoolean, "false", "Whether jobs on one instance share a build directory.", GitLab, NotUsed},
}

var autoscalerKeys = []Key{
	{"capacity_per_instance", TypeInteger, "1", "How many jobs one instance runs at once: its slots. At most 10000. 0 means the default.", GitLab, Live},
	{"max_use_count", TypeInteger, "0", "How many jobs an instance runs before it is removed. 0: no limit.", GitLab, Live},
	{"max_instances", TypeInteger, "0", "The most instances, counted in all states together. 0: as many as the provider allows.", GitLab, Live},
	{"plugin", TypeString, "", "The name of the provider plugin, see above, or the path of its binary. Required.", GitLab, Restart},
	{"plugin_config", TypeAny, "empty", "The plugin's own configuration. It is passed to the plugin as JSON; dates become RFC 3339 strings.",
		GitLab, Restart},
	{"plugin_sha256", TypeString, "empty", "SHA-256 of the plugin's binary, in hex. If it is set, no other binary is started: the manager copies the binary " +
		"to a private folder, and starts the copy if it has this sum.", Ours, Restart},
	{"plugin_insecure_path", TypeBoolean, "false", "Whether the manager starts a plugin that users other than root and its own user can replace, because they may " +
		"write to the binary or to a folder on the way to it. Such a user can then run programs as the user of the manager, with its credentials. " +
		"With `plugin_sha256` only the given binary is started all the same.", Ours, Restart},
	{"plugin_env", TypeStrings, "empty", "What the plugin's environment has beyond the usual, see above: `\"NAME\"` passes the variable of the manager, `\"PREFIX_*\"` all that begin so, " +
		"and `\"NAME=value\"` sets one. Values are never printed.", Ours, Restart},
	{"connector_config", TypeTable, "", "How to connect to instances.", GitLab, Restart},
	{"instance_ready_command", TypeString, "empty", "A command that must succeed on a new instance before the instance gets jobs.", GitLab, NewInstances},
	{"instance_acquire_timeout", TypeDuration, "15m", "How long a job waits for a slot.", GitLab, Live},
	{"update_interval", TypeDuration, "1m", "How often the manager asks the provider for the list of instances.", GitLab, Live},
	{"update_interval_when_expecting", TypeDuration, "2s", "The same, while a change of the list is expected.", GitLab, Live},
	{"deletion_retry_interval", TypeDuration, "1m", "If an instance still exists this long after a delete request, the manager asks again.", GitLab, Live},
	{"shutdown_deletion_interval", TypeDuration, "10s", "The same during a shutdown that deletes the instances.", GitLab, Live},
	{"shutdown_deletion_retries", TypeInteger, "3", "After this many failed delete requests for an instance during a shutdown, the manager gives up. Requests that fail while the plugin is away do not count. 0 means the default.", GitLab, Live},
	{"failure_threshold", TypeInteger, "3", "After this many failed health checks in a row, an instance is unhealthy and is replaced. 0 means the default.", GitLab, Live},
	{"scale_throttle", TypeTable, "", "How fast instances may be created.", GitLab, Live},
	{"reservation_throttling", TypeBoolean, "true", "Whether the runner waits with asking for jobs until a slot can be reserved. It has no effect " +
		"yet.", GitLab, NotUsed},
	{"log_internal_ip", TypeBoolean, "false", "Whether the internal address of an instance is logged when it is ready.", GitLab, Live},
	{"log_external_ip", TypeBoolean, "false", "Whether the external address of an instance is logged when it is ready.", GitLab, Live},
	{"delete_instances_on_shutdown", TypeBoolean, "false", "Whether the manager deletes all its instances when it stops.", GitLab, Live},
	{"state_storage", TypeTable, "", "What the manager remembers over a restart.", GitLab, Restart},
	{"journal", TypeTable, "", "The record of the manager's events, for `explain` and `replay`.", Ours, Restart},
	{"vm_isolation", TypeTable, "", "Nested machines. They are not supported yet: the section is checked, but `run` and `exec` refuse a runner " +
		"that enables them.",
		GitLab, Restart},
	histogram("instance_operation_time_buckets", "Bounds of the histogram of the time of provider calls, in seconds and "+
		"in rising order. It has no effect yet, like the five keys below: there are no metrics."),
	histogram("instance_creation_time_buckets", "The same: from the create request until the provider lists the instance."),
	histogram("instance_is_running_time_buckets", "The same: from the create request until the instance runs."),
	histogram("instance_deletion_time_buckets", "The same: from the delete request until the instance is gone."),
	histogram("instance_readiness_time_buckets", "The same: from the create request until the instance is ready for jobs."),
	histogram("instance_life_duration_buckets", "The same: the whole life of an instance."),
	{"policy", TypeTables, "none", "How many slots are kept idle, and when. The last policy whose periods match wins. If none matches, no " +
		"slot is kept idle, and an idle instance is removed after 5m. A single `[runners.autoscaler.policy]` table is read as one policy, " +
		"with a warning.", GitLab, Live},
	{"instance_deadlines", TypeTable, "", "How long an instance may stay in a state before the manager gives it up.", Ours, NewInstances},
	{"call_timeouts", TypeTable, "", "How long one call to the plugin may take. A call that takes longer is cancelled and counts as failed; most calls are " +
		"repeated. A call of one kind never delays the calls of another kind.", Ours, Live},
	{"adopt_preexisting", TypeString, "hold", "What the manager does with instances that it finds while its state is empty or belongs " +
		"to another group: `hold` (count them, but neither use nor remove them), `adopt` (use them) or `remove`.", Ours, Live},
	{"reservation_deadline", TypeDuration, "2m", "How long a reservation is kept if its job is never acquired.", Ours, Live},
	{"reattach_after_restart", TypeDuration, "5m", "How long a lease waits for its caller after a restart of the manager.", Ours, Restart},
	{"reattach_after_disconnect", TypeDuration, "30s", "How long a lease waits for its caller after the connection to the caller was lost.",
		Ours, Live},
}

// histogram is a key with the bounds of a metric's buckets.
func histogram(name, meaning string) Key {
	return Key{name, TypeNumbers, "the metric's own", meaning, GitLab, NotUsed}
}

var connectorKeys = []Key{
	{"os", TypeString, "from the plugin", "`linux`, `windows` or `darwin` (also `macos`), in upper or lower case.", GitLab, Restart},
	{"arch", TypeString, "from the plugin", "`amd64` (also `x86_64`, `x64`) or `arm64` (also `aarch64`, `arm`), in upper or lower case.", GitLab, Restart},
	{"protocol", TypeString, "ssh; winrm on windows", "`ssh`, `winrm` or `winrm+https`.", GitLab, Restart},
	{"protocol_port", TypeInteger, "22, 5985 or 5986", "Port of the protocol, 1 to 65535. 0 means the default.", GitLab, Restart},
	{"username", TypeString, "from the plugin", "User to log in as.", GitLab, Restart},
	{"password", TypeString, "from the plugin", "Password to log in with. It is never printed.", GitLab, Restart},
	{"key_path", TypeString, "from the plugin", "File with the private key to log in with. A relative path starts at the folder of the config file.",
		GitLab, Restart},
	{"key_passphrase", TypeString, "empty", "Passphrase of the private key in `key_path`. It is never printed.", Ours, Restart},
	{"key_passphrase_path", TypeString, "empty", "File whose only line is that passphrase. A relative path starts at the folder of the config file.", Ours, Restart},
	{"use_static_credentials", TypeBoolean, "false", "Whether only the credentials above are used. If false, the provider may give others.",
		GitLab, Restart},
	{"keepalive", TypeDuration, "30s", "How often the manager checks an open connection.", GitLab, Restart},
	{"timeout", TypeDuration, "10m", "How long the manager tries to connect to a new instance.", GitLab, Restart},
	{"use_external_addr", TypeBoolean, "false", "Whether the external address is used. If an instance has only one address, that one is used.",
		GitLab, Restart},
	{"password_without_host_key", TypeBoolean, "false", "Whether `password` is sent to an instance whose host key is unknown. Then whoever answers at its address " +
		"learns the password, which often opens the other instances too. Host keys are known if the plugin reports them, and after the first login.",
		Ours, Restart},
	{"allow_legacy_ssh", TypeBoolean, "false", "Whether SSH servers of old images are accepted, which offer only SHA-1 (key exchange, MAC or signatures) or RSA keys " +
		"below 2048 bits. It includes `allow_dh_group_exchange`.",
		Ours, Restart},
	{"allow_dh_group_exchange", TypeBoolean, "false", "Whether the SSH key exchange `diffie-hellman-group-exchange-sha256` is offered, which is the only one of some " +
		"images. It is offered last.", Ours, Restart},
	{"proxy_jump", TypeString, "empty", "The jump host that every connection to an instance goes through: `user@host` or `user@host:port`, as for ProxyJump of OpenSSH, also in the form `ssh://user@host:port`. " +
		"One host. An IPv6 address stands in brackets: `user@[2001:db8::7]:22`. " +
		"Its host key must be known: set `proxy_jump_host_key` or `proxy_jump_known_hosts_path`. It needs a private key.", Ours, Restart},
	{"proxy_jump_key_path", TypeString, "key_path", "File with the private key to log in to the jump host with. A relative path starts at the folder of the config file. " +
		"`exec` gets this key from the manager: use one that may only forward (`restrict,port-forwarding` in authorized_keys).", Ours, Restart},
	{"proxy_jump_key_passphrase_path", TypeString, "empty", "File whose only line is the passphrase of that key. A relative path starts at the folder of the config file.", Ours, Restart},
	{"proxy_jump_host_key", TypeString, "empty", "The host key of the jump host: a line that `ssh-keyscan -t ed25519 HOST` prints.", Ours, Restart},
	{"proxy_jump_known_hosts_path", TypeString, "empty", "A known_hosts file of OpenSSH with the host keys of the jump host. The manager reads it when it starts. " +
		"A relative path starts at the folder of the config file.", Ours, Restart},
	{"winrm_shell", TypeString, "cmd", "The shell that runs commands over WinRM: `cmd` or `powershell`. cmd.exe runs commands of one line only.", Ours, Restart},
	{"winrm_auth", TypeString, "ntlm; over https also basic", "How to log in over WinRM: `ntlm` or `basic`. NTLM does not send the password, and encrypts every " +
		"message where there is no TLS. Without this key, Basic is used only over https, if the instance offers nothing else.", Ours, Restart},
	{"winrm_ca_file", TypeString, "empty", "File with certificates in PEM form that sign the certificates of the instances (`winrm+https`). Without it, the manager " +
		"pins the certificate that it sees at first contact. A relative path starts at the folder of the config file.", Ours, Restart},
	{"winrm_insecure", TypeBoolean, "false", "Whether `winrm+https` accepts any certificate, and whether `winrm` may log in with Basic, which shows the password " +
		"and every job to the network.", Ours, Restart},
}

var throttleKeys = []Key{
	{"limit", TypeNumber, "100", "How many instances may be created per second, on average. A fraction is allowed. 0 means the default. -1 means no " +
		"limit; `burst` is ignored then.",
		GitLab, Live},
	{"burst", TypeInteger, "max_instances, or limit if that is 0", "How many instances may be created at once after a pause. 0 means the default.", GitLab, Live},
}

var policyKeys = []Key{
	{"periods", TypeStrings, `["* * * * *"]`, "When the policy applies. Each period has five cron fields (minute, hour, day of month, month, day of " +
		"week). The policy applies in each minute that matches one of its periods.", GitLab, Live},
	{"timezone", TypeString, "the machine's", "IANA name of the time zone of `periods`, such as `Europe/Berlin`.", GitLab, Live},
	{"idle_count", TypeInteger, "0", "How many free slots to keep. It counts jobs, not instances.", GitLab, Live},
	{"idle_time", TypeDuration, "5m", "How long an instance must be idle before it may be removed. `\"0s\"`: at once.", GitLab, Live},
	{"scale_factor", TypeNumber, "0", "How many free slots to keep for each job that runs or waits. 0: off.", GitLab, Live},
	{"scale_factor_limit", TypeInteger, "0", "The most free slots that `scale_factor` asks for. 0: no limit.", GitLab, Live},
	{"scale_factor_mode", TypeString, "max", "`max`: the idle target is the larger of `idle_count` and the part of `scale_factor`. `add`: it is the sum of both.",
		Ours, Live},
	{"preemptive_mode", TypeBoolean, "idle_count > 0", "Whether the runner asks for a job only while a ready slot is free for it.", GitLab, Live},
	{"scale_throttle", TypeTable, "the group's", "Replaces the group's throttle while the policy applies.", Ours, Live},
}

var storageKeys = []Key{
	{"enabled", TypeBoolean, "true", "Whether the state is stored. (GitLab Runner's default is false.) If false, the manager removes all instances that " +
		"it finds when it starts, unless `adopt_preexisting` is `adopt`.",
		GitLab, Restart},
	{"dir", TypeString, ".taskscaler", "Folder of the state. A relative path starts at the folder of the config file. Each runner has its own folder " +
		"in it.",
		GitLab, Restart},
	{"key_file", TypeString, "empty", "File with the key that encrypts the state: age identities, one on each line. The first encrypts, all of them decrypt. " +
		"`age-keygen -o FILE` makes one. It must have mode 0600. A relative path starts at the folder of the config file. `$CREDENTIALS_DIRECTORY/NAME` is a credential of systemd.", Ours, Restart},
	{"encrypt", TypeBoolean, "true if there is a key", "Whether the state is encrypted. If false, the key only opens an encrypted state, which is then stored in " +
		"plain text.", Ours, Restart},
	{"keep_instance_with_acquisitions", TypeBoolean, "false", "Whether an instance stays in use if its caller did not come back after a restart. If false, the instance is removed.",
		GitLab, Restart},
}

var journalKeys = []Key{
	{"enabled", TypeBoolean, "true", "Whether the manager keeps a journal. It is in the folder `journal` of the runner's folder in `state_storage.dir`, " +
		"also if no state is stored. It contains no secrets.", Ours, Restart},
	{"max_size", TypeString, "64MiB", "The size of all journal files together, `1MiB` to `1024GiB`. The oldest files are deleted when they exceed it.", Ours, Restart},
}

var deadlineKeys = []Key{
	{"requested", TypeDuration, "10m", "From the create request until the provider lists the instance.", Ours, NewInstances},
	{"creating", TypeDuration, "15m", "From then until the instance runs.", Ours, NewInstances},
	{"preparing", TypeDuration, "connector timeout + 10m", "From then until the ready command has succeeded.", Ours, NewInstances},
	{"deleting_alarm", TypeDuration, "1h", "From the delete request until the manager raises an alarm. The manager keeps trying to delete the instance.", Ours, NewInstances},
}

var callKeys = []Key{
	{"init", TypeDuration, "2m", "Init, at the start of the manager and of each plugin process.", Ours, Restart},
	{"update", TypeDuration, "2m", "Update: one list of the group.", Ours, Live},
	{"increase", TypeDuration, "10m", "Increase: one create request, which may ask for several instances. Raise it if the plugin creates them one after " +
		"the other, or waits until they exist. The next create request waits for this one.", Ours, Live},
	{"decrease", TypeDuration, "5m", "Decrease: one delete request, which may name several instances. The next delete request waits for this one.", Ours, Live},
	{"connect_info", TypeDuration, "1m", "ConnectInfo: how to reach one instance.", Ours, Live},
	{"heartbeat", TypeDuration, "30s", "Heartbeat: the health check of one instance.", Ours, Live},
	{"shutdown", TypeDuration, "30s", "Shutdown: the last call to the plugin.", Ours, Restart},
}

var isolationKeys = []Key{
	{"enabled", TypeBoolean, "false", "Whether each job runs in a nested machine in its instance.", GitLab, Restart},
	{"nesting_host", TypeString, "empty", "Address of the nesting daemon in the instance.", GitLab, NotUsed},
	{"nesting_config", TypeAny, "empty", "The nesting daemon's own configuration. A string that holds JSON is accepted, with a warning.", GitLab, NotUsed},
	{"image", TypeString, "empty", "Image of the nested machine if the job names none.", GitLab, NotUsed},
	{"connector_config", TypeTable, "", "How to connect to nested machines. It has the same keys as the `connector_config` of instances.", GitLab, NotUsed},
}
