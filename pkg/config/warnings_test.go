package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each warning appears when its condition holds, and not when the condition narrowly fails.
func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name, code string
		head, body string // before [[runners]], and inside [runners.autoscaler]
		line       int    // in body, from 1; 0: no such warning
	}{
		{"limit below idle_count", CodeFactorNoEffect, "", "[[runners.autoscaler.policy]]\nidle_count = 4\nscale_factor = 1.5\n" +
			"scale_factor_limit = 3", 4},
		{"limit equal to idle_count", CodeFactorNoEffect, "", "[[runners.autoscaler.policy]]\nidle_count = 4\nscale_factor = 1.5\n" +
			"scale_factor_limit = 4", 4},
		{"limit above idle_count", CodeFactorNoEffect, "", "[[runners.autoscaler.policy]]\nidle_count = 4\nscale_factor = 1.5\nscale_factor_limit = 5", 0},
		{"no limit", CodeFactorNoEffect, "", "[[runners.autoscaler.policy]]\nidle_count = 4\nscale_factor = 1.5\nscale_factor_limit = 0", 0},
		{"no factor", CodeFactorNoEffect, "", "[[runners.autoscaler.policy]]\nidle_count = 4\nscale_factor_limit = 3", 0},
		{"added factor", CodeFactorNoEffect, "", "[[runners.autoscaler.policy]]\nidle_count = 4\nscale_factor = 1\n" +
			"scale_factor_limit = 3\nscale_factor_mode = \"add\"", 0},

		{"fewer jobs than slots", CodeCapacity, "concurrent = 7", "max_instances = 4\ncapacity_per_instance = 2", -1},
		{"as many jobs as slots", CodeCapacity, "concurrent = 8", "max_instances = 4\ncapacity_per_instance = 2", 0},
		{"concurrent = 0 is no bound", CodeCapacity, "concurrent = 0", "max_instances = 1", 0},
		{"concurrent = 0", CodeUnbounded, "concurrent = 0", "max_instances = 1", -1},
		{"concurrent = 1", CodeUnbounded, "concurrent = 1", "", 0},
		{"concurrent is not set", CodeCapacity, "", "max_instances = 4", 0},
		{"no limit on instances", CodeCapacity, "concurrent = 1", "capacity_per_instance = 2", 0},

		{"idle above concurrent", CodeIdleJobs, "concurrent = 3", "[[runners.autoscaler.policy]]\nidle_count = 4", 2},
		{"idle up to concurrent", CodeIdleJobs, "concurrent = 4", "[[runners.autoscaler.policy]]\nidle_count = 4", 0},
		{"idle without concurrent", CodeIdleJobs, "", "[[runners.autoscaler.policy]]\nidle_count = 4", 0},
		{"idle above, lone table", CodeIdleJobs, "concurrent = 3", "[runners.autoscaler.policy]\nidle_count = 4", 2},

		{"idle above the fleet", CodeIdleCapacity, "", "max_instances = 2\ncapacity_per_instance = 2\n[[runners.autoscaler.policy]]\nidle_count = 5", 4},
		{"idle is the fleet", CodeIdleCapacity, "", "max_instances = 2\ncapacity_per_instance = 2\n[[runners.autoscaler.policy]]\nidle_count = 4", 0},
		{"idle in an unlimited fleet", CodeIdleCapacity, "", "[[runners.autoscaler.policy]]\nidle_count = 500", 0},

		{"no idle time", CodeIdleTimeZero, "", "[[runners.autoscaler.policy]]\nidle_count = 1\nidle_time = \"0s\"", 3},
		{"no idle time, nothing idle", CodeIdleTimeZero, "", "[[runners.autoscaler.policy]]\nidle_time = \"0s\"", 0},
		{"idle time absent", CodeIdleTimeZero, "", "[[runners.autoscaler.policy]]\nidle_count = 1", 0},

		{"preemptive, nothing idle", CodePreemptive, "", "[[runners.autoscaler.policy]]\npreemptive_mode = true", 2},
		{"preemptive, something idle", CodePreemptive, "", "[[runners.autoscaler.policy]]\npreemptive_mode = true\nidle_count = 1", 0},
		{"preemptive by default", CodePreemptive, "", "[[runners.autoscaler.policy]]", 0},

		{"hours without zone", CodeNoTimezone, "", "[[runners.autoscaler.policy]]\nperiods = [\"* * * * *\", \"* 8 * * *\"]", 1},
		{"hours with an empty zone", CodeNoTimezone, "", "[[runners.autoscaler.policy]]\nperiods = [\"* 8 * * *\"]\ntimezone = \"\"", 1},
		{"hours with a zone", CodeNoTimezone, "", "[[runners.autoscaler.policy]]\nperiods = [\"* 8 * * *\"]\ntimezone = \"UTC\"", 0},
		{"days without zone", CodeNoTimezone, "", "[[runners.autoscaler.policy]]\nperiods = [\"* * * * sat,sun\"]", 1},
		{"days with a zone", CodeNoTimezone, "", "[[runners.autoscaler.policy]]\nperiods = [\"* * * * sat,sun\"]\ntimezone = \"UTC\"", 0},
		{"minutes only", CodeNoTimezone, "", "[[runners.autoscaler.policy]]\nperiods = [\"0-30 * * * *\"]", 0},

		{"hidden by a later one", CodeShadowed, "", "[[runners.autoscaler.policy]]\nidle_count = 1\n[[runners.autoscaler.policy]]", 1},
		{"hidden by two together", CodeShadowed, "", policies("* 8-9 * * *", "* 8 * * *", "* 9 * * *"), 1},
		{"not quite hidden", CodeShadowed, "", policies("* 8-9 * * *", "* 8 * * *", "1-59 9 * * *"), 0},
		{"the general one first", CodeShadowed, "", policies("* * * * *", "* 8 * * *"), 0},
		{"no date, nothing hidden", CodeShadowed, "", policies("* * 30 2 *", "* * * * *"), 0},
		{"no date", "never", "", policies("* * 30 2 *"), 2},

		{"burst beside no throttle", CodeBurstIgnored, "", "[runners.autoscaler.scale_throttle]\nlimit = -1\nburst = 5", 3},
		{"burst beside a throttle", CodeBurstIgnored, "", "[runners.autoscaler.scale_throttle]\nlimit = 1\nburst = 5", 0},
		{"burst ignored in a policy", CodeBurstIgnored, "", "[[runners.autoscaler.policy]]\nscale_throttle = {limit = -1, burst = 5}", 2},

		{"a zero time-out", CodeZeroDefault, "", "[runners.autoscaler.call_timeouts]\nupdate = \"0s\"", 2},
		{"a zero interval", CodeZeroDefault, "", "update_interval = \"0ms\"", 1},
		{"a zero count", CodeZeroDefault, "", "shutdown_deletion_retries = 0", 1},
		{"a zero throttle", CodeZeroDefault, "", "[runners.autoscaler.scale_throttle]\nlimit = 0.0", 2},
		{"a zero burst", CodeZeroDefault, "", "[runners.autoscaler.scale_throttle]\nburst = 0", 2},
		{"a zero with a meaning", CodeZeroDefault, "check_interval = 0", "max_instances = 0\n[[runners.autoscaler.policy]]\nidle_time = \"0s\"\nscale_factor = 0", 0},
		{"a small time-out", CodeZeroDefault, "", "[runners.autoscaler.call_timeouts]\nupdate = \"1s\"", 0},
		{"a deadline before the next list", CodeDeadlineShort, "", "[runners.autoscaler.instance_deadlines]\nrequested = \"1s\"", 2},
		{"a deadline at the next list", CodeDeadlineShort, "", "[runners.autoscaler.instance_deadlines]\ncreating = \"2s\"", 0},
		{"an interval after the deadlines", CodeDeadlineShort, "", "update_interval_when_expecting = \"12m\"", 1},

		{"state off", CodeStateDisabled, "", "[runners.autoscaler.state_storage]\nenabled = false", 2},
		{"state on", CodeStateDisabled, "", "[runners.autoscaler.state_storage]\nenabled = true", 0},
		{"state not said", CodeStateDisabled, "", "", 0},

		{"a path that others may write", CodePluginPath, "", "plugin_insecure_path = true", 1},
		{"one that others may not write", CodePluginPath, "", "plugin_insecure_path = false", 0},
		{"such a path and a sum", CodePluginPath, "", "plugin_insecure_path = true\nplugin_sha256 = \"" + strings.Repeat("ab", 32) + "\"", 0},

		{"password", CodePassword, "", "[runners.autoscaler.connector_config]\npassword = \"p\"", 2},
		{"password and key", CodePassword, "", "[runners.autoscaler.connector_config]\npassword = \"p\"\nkey_path = \"k\"", 0},
		{"password, said", CodePassword, "", "[runners.autoscaler.connector_config]\npassword = \"p\"\npassword_without_host_key = true", 0},
		{"passphrase without a key", CodePassphrase, "", "[runners.autoscaler.connector_config]\nkey_passphrase = \"p\"", 2},
		{"passphrase file without a key", CodePassphrase, "", "[runners.autoscaler.connector_config]\nkey_passphrase_path = \"p\"", 2},
		{"passphrase and key", CodePassphrase, "", "[runners.autoscaler.connector_config]\nkey_passphrase = \"p\"\nkey_path = \"k\"", 0},
		{"jump host", CodeJump, "", "[runners.autoscaler.connector_config]\nproxy_jump = \"ops@bastion\"\nkey_path = \"k\"\nproxy_jump_host_key = \"" + testHostKey + "\"", 0},
		{"key of no jump host", CodeJump, "", "[runners.autoscaler.connector_config]\nproxy_jump_key_path = \"k\"", 2},
		{"passphrase of no key of the jump host", CodeJump, "", "[runners.autoscaler.connector_config]\nproxy_jump = \"ops@bastion\"\nkey_path = \"k\"\n" +
			"proxy_jump_known_hosts_path = \"h\"\nproxy_jump_key_passphrase_path = \"p\"", 5},
		{"winrm through a jump host", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nproxy_jump = \"ops@bastion\"\n" +
			"proxy_jump_key_path = \"k\"\nproxy_jump_known_hosts_path = \"h\"", 0},
		{"winrm", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm+https\"\nwinrm_ca_file = \"ca\"\nwinrm_shell = \"powershell\"", 0},
		{"windows", CodeWinRM, "", "[runners.autoscaler.connector_config]\nos = \"Windows\"\nwinrm_auth = \"ntlm\"", 0},
		{"winrm of a plugin", CodeWinRM, "", "[runners.autoscaler.connector_config]\nwinrm_ca_file = \"ca\"", 0},
		{"winrm keys over ssh", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"ssh\"\nwinrm_shell = \"powershell\"", 3},
		{"winrm with a key", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nkey_path = \"k\"", 3},
		{"winrm and algorithms of SSH", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nallow_legacy_ssh = true", 3},
		{"winrm and a key exchange of SSH", CodeWinRM, "", "[runners.autoscaler.connector_config]\nos = \"windows\"\nallow_dh_group_exchange = true", 3},
		{"winrm and what SSH would not do anyway", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nallow_legacy_ssh = false", 0},
		{"winrm through a jump host that needs SSH's keys", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nproxy_jump = \"ops@bastion\"\n" +
			"key_path = \"k\"\nkey_passphrase_path = \"p\"\nproxy_jump_known_hosts_path = \"h\"\nallow_legacy_ssh = true", 0},
		{"certificates without TLS", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nwinrm_ca_file = \"ca\"", 3},
		{"any certificate", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm+https\"\nwinrm_insecure = true", 3},
		{"basic without TLS, said", CodeWinRM, "", "[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nwinrm_auth = \"basic\"\nwinrm_insecure = true", 4},

		{"nested machines", CodeIsolation, "", "[runners.autoscaler.vm_isolation]\nenabled = true", 2},
		{"lone policy", CodeLonePolicy, "", "[runners.autoscaler.policy]\nidle_count = 1", 1},
		{"one minute an hour", "one_minute_hour", "", policies("0 8-17 * * *"), 2},
		{"seven fields", "seven_fields", "", policies("* * * * * mon-fri *"), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, report := Parse("c.toml", []byte(c.head+"\n"+fleet(c.body)))
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			var lines []int
			for _, p := range report.Warnings() {
				if p.Code == c.code {
					lines = append(lines, p.Line)
				}
			}
			var want []int
			switch {
			case c.line > 0:
				want = []int{1 + strings.Count(fleet(""), "\n") + c.line}
			case c.line < 0: // in the head
				want = []int{1}
			}
			if !slices.Equal(lines, want) {
				t.Errorf("%s at lines %v, want %v; all:\n%s", c.code, lines, want, problems(report))
			}
		})
	}
}

// TestWinRMWithAKeyThatIsEncrypted: the key and its passphrase have no effect, and each has its warning.
func TestWinRMWithAKeyThatIsEncrypted(t *testing.T) {
	for _, key := range []string{"key_passphrase", "key_passphrase_path"} {
		_, report := Parse("c.toml", []byte(fleet("[runners.autoscaler.connector_config]\nprotocol = \"winrm\"\nkey_path = \"k\"\n"+key+" = \"p\"\n")))
		var got []string
		for _, p := range report.Problems {
			got = append(got, fmt.Sprintf("%s %d %s", p.Code, p.Line, p.Key[strings.LastIndexByte(p.Key, '.')+1:]))
		}
		if want := []string{"winrm 7 key_path", "winrm 8 " + key}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// policies returns one policy table for each period, all in the same time zone.
func policies(periods ...string) string {
	var b strings.Builder
	for _, p := range periods {
		b.WriteString("[[runners.autoscaler.policy]]\nperiods = [\"" + p + "\"]\ntimezone = \"UTC\"\n")
	}
	return b.String()
}

// Two runners share one bound: each group that is larger than the bound is named.
func TestCapacityOfSeveralRunners(t *testing.T) {
	runner := "[[runners]]\nname = \"%\"\nexecutor = \"instance\"\nlimit = 2\n[runners.autoscaler]\nplugin = \"aws\"\nmax_instances = "
	_, report := Parse("c.toml", []byte("concurrent = 5\n"+strings.Replace(runner, "%", "big", 1)+"9\n"+
		strings.Replace(runner, "%", "small", 1)+"2\n"))
	var got []string
	for _, p := range report.Warnings() {
		got = append(got, p.Key+" "+p.Message[strings.Index(p.Message, "group of"):strings.Index(p.Message, " can")])
	}
	if want := []string{`concurrent group of "big"`, `runners.limit group of "big"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBadSettingsGiveNoFollowingWarnings(t *testing.T) {
	_, report := Parse("c.toml", []byte("concurrent = -1\n"+fleet("max_instances = 4\n[[runners.autoscaler.policy]]\nidle_count = \"9\"\n"+
		"periods = [\"x\"]\n"+
		"timezone = \"nowhere\"\nscale_factor = \"1\"\nscale_factor_limit = 3\n")))
	for _, p := range report.Warnings() {
		t.Errorf("a warning that only follows from a fault: %v", p)
	}
	if n := len(report.Faults()); n != 5 {
		t.Errorf("got %d faults: %v", n, report.Err())
	}
}
