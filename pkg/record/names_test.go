package record

import (
	"fmt"
	"strings"
	"testing"
)

// TestNames: every value has a unique name of the form that facts and status use. Values after the last one are named as invalid.
func TestNames(t *testing.T) {
	names := func(what string, from, to int, of func(int) string, beyond string) {
		t.Helper()
		seen := map[string]int{}
		for n := from; n <= to; n++ {
			name := of(n)
			if name == "" || name == "invalid" || name == "unknown" || strings.ToLower(name) != name || strings.ContainsAny(name, " -") {
				t.Errorf("%s %d is called %q", what, n, name)
			}
			if other, dup := seen[name]; dup {
				t.Errorf("%s %d and %d are both %q", what, other, n, name)
			}
			seen[name] = n
		}
		if got := of(to + 1); got != beyond {
			t.Errorf("%s %d is called %q, want %q", what, to+1, got, beyond)
		}
	}
	names("state", int(Creating), int(Unclaimed), func(n int) string { return State(n).String() }, "invalid")
	names("origin", int(Created), int(Preexisting), func(n int) string { return Origin(n).String() }, "invalid")
	names("cause", int(CauseNone), int(numCauses)-1, func(n int) string { return Cause(n).String() }, "unknown")
	if got := fmt.Sprint(State(0), Origin(0)); got != "invalid invalid" {
		t.Errorf("the zero values are %q", got)
	}
}

// TestCauseNames: scripts read these names in `status --json`, and people in the log.
func TestCauseNames(t *testing.T) {
	names := map[Cause]string{
		CauseNone: "none", CauseIdle: "idle", CauseUsedUp: "used_up", CauseBootOverdue: "boot_overdue", CausePrepareOverdue: "prepare_overdue",
		CausePrepareFailed: "prepare_failed", CauseUnhealthy: "unhealthy", CauseMissing: "missing", CauseProviderDeleting: "provider_deleting",
		CauseProviderTimeout: "provider_timeout", CauseAbandoned: "abandoned", CausePreexisting: "preexisting", CauseReplaced: "replaced",
		CauseShutdown: "shutdown", CauseZombie: "zombie", CauseOperator: "operator", CauseBoot: "boot", CauseThrottle: "throttle",
		CauseMaxInstances: "max_instances", CauseQuota: "quota", CauseStockOut: "stock_out", CauseBackoff: "back_off", CausePlugin: "plugin",
		CausePolicy: "policy", CauseConfig: "config", CauseForeign: "foreign_manager", CauseReleased: "released", CauseDeadline: "deadline",
		CauseCancelled: "cancelled", CauseDraining: "draining", CauseChangedHostKey: "changed_host_key", CauseNoCapacity: "no_capacity",
		CauseConfirming: "confirming", CauseThrottledAPI: "throttled_api", CauseDuplicate: "duplicate_key", CauseUnknownKey: "unknown_key",
		CauseBreaker: "breaker", CauseLists: "lists", CauseProviderLimit: "provider_limit", CauseAboveLimit: "above_limit", CauseStore: "store",
		CauseDoubtful: "doubtful",
	}
	for c := range numCauses {
		if c.String() != names[c] {
			t.Errorf("cause %d is called %q, want %q", c, c, names[c])
		}
	}
}

func TestStatesThatExist(t *testing.T) {
	for s, want := range map[State]bool{
		0: false, Creating: true, Preparing: true, Ready: true, Draining: true, Deleting: true, Gone: false, Lost: false, Unclaimed: true,
		Unclaimed + 1: false,
	} {
		if s.Exists() != want {
			t.Errorf("%s exists: %v", s, !want)
		}
	}
}
