package pluginkit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Faults collects what is wrong with plugin_config, so that one error names all of it. The zero value has none.
//
//	var f pluginkit.Faults
//	f.Required("region", g.Region)
//	f.AtLeast("max_size", g.MaxSize, 0)
//	f.Check("name", pluginkit.Names{Prefix: g.Name}.Check())
//	if err := f.Err(); err != nil {
//		return provider.ProviderInfo{}, err
//	}
type Faults struct{ list []string }

// Add adds a fault. key is the path of the key, such as "disk.size". The text continues the sentence, as in "must be one of a, b". It must not have a value
// that may be a secret.
func (f *Faults) Add(key, format string, args ...any) {
	f.list = append(f.list, key+" "+fmt.Sprintf(format, args...))
}

// Required adds a fault if the value is empty.
func (f *Faults) Required(key, value string) {
	if strings.TrimSpace(value) == "" {
		f.Add(key, "is missing")
	}
}

// OneOf adds a fault if the value is neither empty nor allowed.
func (f *Faults) OneOf(key, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		f.Add(key, "is %.40q, and must be one of %s", value, strings.Join(allowed, ", "))
	}
}

// AtLeast adds a fault if the value is below the lowest one.
func (f *Faults) AtLeast(key string, value, lowest int) {
	if value < lowest {
		f.Add(key, "is %d, and must be at least %d", value, lowest)
	}
}

// NotNegative adds a fault if the duration is negative.
func (f *Faults) NotNegative(key string, value provider.Duration) {
	if value < 0 {
		f.Add(key, "is %s, and must not be negative", value)
	}
}

// Check adds err as a fault, unless it is nil. Its text continues the sentence, as those of Names.Check and GroupLabels do.
func (f *Faults) Check(key string, err error) {
	if err != nil {
		f.Add(key, "%v", err)
	}
}

// Err returns nil without a fault, and else one error of KindConfig that names each of them.
func (f *Faults) Err() error {
	if len(f.list) == 0 {
		return nil
	}
	return provider.Errorf(provider.KindConfig, "plugin_config: %s", strings.Join(f.list, "; "))
}
