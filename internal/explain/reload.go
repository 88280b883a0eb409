package explain

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// keys maps the fields of a configuration to the keys of config.toml, in the order in which messages name them.
var keys = []struct{ field, key string }{
	{"MaxInstances", "max_instances"}, {"Capacity", "capacity_per_instance"}, {"MaxUses", "max_use_count"}, {"Schedule", "policies"},
	{"Throttle", "scale_throttle"}, {"ProviderMax", "the provider's limit"}, {"UpdateInterval", "update_interval"},
	{"FailureThreshold", "failure_threshold"}, {"Heartbeat", "heartbeats"}, {"RequestedDeadline", "instance_deadlines.requested"},
	{"CreatingDeadline", "instance_deadlines.creating"}, {"PreparingDeadline", "instance_deadlines.preparing"},
	{"DeletingAlarm", "instance_deadlines.deleting_alarm"}, {"DeletionRetry", "deletion_retry_interval"},
	{"ShutdownDeletionRetry", "shutdown_deletion_interval"}, {"ShutdownDeletionRetries", "shutdown_deletion_retries"},
	{"ReservationDeadline", "reservation_deadline"}, {"ReattachAfterRestart", "reattach_after_restart"},
	{"ReattachAfterDisconnect", "reattach_after_disconnect"}, {"KeepAbandoned", "keep_instance_with_acquisitions"},
	{"Adopt", "adopt_preexisting"}, {"ForgetAfter", "how long gone instances are remembered"}, {"MissingLists", "complete lists until an instance counts as missing"},
}

// reloaded returns the differences of two configurations, such as "max_instances 1 → 3, policies".
func reloaded(from, to *scaler.Config) string {
	var parts []string
	a, b := reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem()
	for _, k := range keys {
		was, is := a.FieldByName(k.field).Interface(), b.FieldByName(k.field).Interface()
		if s, ok := was.(*policy.Schedule); ok {
			if !reflect.DeepEqual(s.Policies(), is.(*policy.Schedule).Policies()) {
				parts = append(parts, k.key)
			}
			continue
		}
		if was != is {
			parts = append(parts, fmt.Sprintf("%s %s → %s", k.key, setting(was), setting(is)))
		}
	}
	if len(parts) == 0 {
		return "no setting that affects decisions changed"
	}
	return strings.Join(parts, ", ")
}

// setting formats the value of a setting.
func setting(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return words.Span(v)
	case policy.Throttle:
		return fmt.Sprintf("{limit %g, burst %d}", v.Limit, v.Burst)
	case scaler.AdoptMode:
		return [...]string{"unset", "adopt", "remove"}[min(int(v), 2)]
	}
	return fmt.Sprint(v)
}
