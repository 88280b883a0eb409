package config

import "strings"

// Type is the TOML type of a key, in the words of the documentation.
type Type string

// The types.
const (
	TypeString   Type = "string"
	TypeInteger  Type = "integer"
	TypeNumber   Type = "number"   // an integer or a float
	TypeBoolean  Type = "boolean"  // true or false
	TypeDuration Type = "duration" // a Go duration as a string, e.g. "1m30s"
	TypeSeconds  Type = "seconds"  // an integer, as GitLab Runner has it in the head of the file
	TypeStrings  Type = "array of strings"
	TypeNumbers  Type = "array of numbers"
	TypeTable    Type = "table"
	TypeTables   Type = "array of tables"
	TypeAny      Type = "any table" // passed on as JSON
)

// Origin says whose key it is.
type Origin string

// The origins.
const (
	GitLab Origin = "GitLab" // GitLab Runner's own key, with its meaning
	Ours   Origin = "ours"   // taskscaler's; GitLab Runner ignores it
)

// Reload says what a change of a key does while the manager runs.
type Reload string

// What a change can do.
const (
	Live         Reload = "live"          // in force at once
	NewInstances Reload = "new instances" // for instances that come to that stage from then on
	Restart      Reload = "restart"       // only when the manager is started again
	NotUsed      Reload = "-"             // the running manager does not look at it
)

// Key describes one key of the file.
type Key struct {
	Path    string // dotted; runners and policy stand for each of their tables
	Type    Type
	Default string // as it would be written, or in words; empty: none
	Meaning string // one sentence or two, Markdown
	Origin  Origin
	Reload  Reload
}

// Name is the last part of the path.
func (k Key) Name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// Section is the path without its last part; empty for the head of the file.
func (k Key) Section() string { return k.Path[:max(strings.LastIndexByte(k.Path, '.'), 0)] }

// Keys lists every key that is read, section by section.
func Keys() []Key {
	const autoscaler = "runners.autoscaler"
	lists := [][]Key{
		under("", headKeys), under("runners", runnerKeys), under("runners.instance", instanceKeys),
		under(autoscaler, autoscalerKeys), under(autoscaler+".connector_config", connectorKeys),
		under(autoscaler+".scale_throttle", throttleKeys), under(autoscaler+".policy", policyKeys),
		under(autoscaler+".policy.scale_throttle", throttleKeys), under(autoscaler+".state_storage", storageKeys),
		under(autoscaler+".journal", journalKeys), under(autoscaler+".instance_deadlines", deadlineKeys), under(autoscaler+".vm_isolation", isolationKeys),
		under(autoscaler+".vm_isolation.connector_config", isolationConnectorKeys()),
	}
	var all []Key
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// under returns the keys with the section put before their names.
func under(section string, keys []Key) []Key {
	out := make([]Key, len(keys))
	for i, k := range keys {
		if section != "" {
			k.Path = section + "." + k.Path
		}
		out[i] = k
	}
	return out
}

// isolationConnectorKeys are the connector's keys as they apply to nested machines, which do not exist yet.
func isolationConnectorKeys() []Key {
	keys := under("", connectorKeys)
	for i := range keys {
		keys[i].Reload = NotUsed
	}
	return keys
}

// schema, sections and homes are compiled from Keys once: the keys of each section, which keys are sections themselves, and the
// sections that have a key of some name. In homes nested machines are left out, because what is misplaced was not meant for them.
var schema, sections, homes = compile(Keys())

func compile(keys []Key) (schema map[string][]string, sections map[string]bool, homes map[string][]string) {
	schema, sections, homes = map[string][]string{}, map[string]bool{}, map[string][]string{}
	for _, k := range keys {
		name, section := k.Name(), k.Section()
		schema[section] = append(schema[section], name)
		sections[k.Path] = k.Type == TypeTable || k.Type == TypeTables || k.Type == TypeAny
		if strings.HasPrefix(k.Path, "runners.autoscaler") && !strings.Contains(k.Path, "vm_isolation.") {
			homes[name] = append(homes[name], section)
		}
	}
	return schema, sections, homes
}
