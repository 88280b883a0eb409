package config

import "strings"

// Type is the TOML type of a key, as the documentation names it.
type Type string

// The types.
const (
	TypeString   Type = "string"
	TypeInteger  Type = "integer"
	TypeNumber   Type = "number"   // an integer or a float
	TypeBoolean  Type = "boolean"  // true or false
	TypeDuration Type = "duration" // a Go duration as a string, e.g. "1m30s"
	TypeSeconds  Type = "seconds"  // an integer number of seconds; GitLab Runner uses it in the head of the file
	TypeStrings  Type = "array of strings"
	TypeNumbers  Type = "array of numbers"
	TypeTable    Type = "table"
	TypeTables   Type = "array of tables"
	TypeAny      Type = "any table" // passed on as JSON
)

// Origin says who defines a key.
type Origin string

// The origins.
const (
	GitLab Origin = "GitLab" // GitLab Runner has this key, with the same meaning
	Ours   Origin = "ours"   // only taskscaler has this key; GitLab Runner ignores it
)

// Reload says when a changed key takes effect in a running manager.
type Reload string

// The values of Reload.
const (
	Live         Reload = "live"          // at once, on SIGHUP
	NewInstances Reload = "new instances" // on SIGHUP, for instances that reach the stage later
	Restart      Reload = "restart"       // when the manager is restarted
	NotUsed      Reload = "-"             // never: the running manager does not use it
)

// Key describes one key of the file.
type Key struct {
	Path    string // dotted; "runners" and "policy" stand for each table of that name
	Type    Type
	Default string // as it is written in a file, or in words; empty: no default
	Meaning string // one or more sentences, in Markdown
	Origin  Origin
	Reload  Reload
}

// name is the last part of the path.
func (k Key) name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// section is the path without its last part; empty for the head of the file.
func (k Key) section() string { return k.Path[:max(strings.LastIndexByte(k.Path, '.'), 0)] }

// Keys lists every key that is read, section by section.
func Keys() []Key {
	const autoscaler = "runners.autoscaler"
	lists := [][]Key{
		under("", headKeys), under("runners", runnerKeys), under("runners.instance", instanceKeys),
		under(autoscaler, autoscalerKeys), under(autoscaler+".connector_config", connectorKeys),
		under(autoscaler+".scale_throttle", throttleKeys), under(autoscaler+".policy", policyKeys),
		under(autoscaler+".policy.scale_throttle", throttleKeys), under(autoscaler+".state_storage", storageKeys),
		under(autoscaler+".journal", journalKeys), under(autoscaler+".instance_deadlines", deadlineKeys),
		under(autoscaler+".call_timeouts", callKeys), under(autoscaler+".vm_isolation", isolationKeys),
		under(autoscaler+".vm_isolation.connector_config", isolationConnectorKeys()),
	}
	var all []Key
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// under returns copies of the keys with the section put before their paths.
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

// isolationConnectorKeys are the connector's keys for nested machines, which are not supported yet.
func isolationConnectorKeys() []Key {
	keys := under("", connectorKeys)
	for i := range keys {
		keys[i].Reload = NotUsed
	}
	return keys
}

// These are computed from Keys once. schema has the keys of each section. sections has the keys that are sections themselves. homes has,
// for each key name, the sections that have a key of this name; vm_isolation is left out, because a misplaced key hardly belongs there.
var schema, sections, homes = compile(Keys())

func compile(keys []Key) (schema map[string][]string, sections map[string]bool, homes map[string][]string) {
	schema, sections, homes = map[string][]string{}, map[string]bool{}, map[string][]string{}
	for _, k := range keys {
		name, section := k.name(), k.section()
		schema[section] = append(schema[section], name)
		sections[k.Path] = k.Type == TypeTable || k.Type == TypeTables || k.Type == TypeAny
		if strings.HasPrefix(k.Path, "runners.autoscaler") && !strings.Contains(k.Path, "vm_isolation.") {
			homes[name] = append(homes[name], section)
		}
	}
	return schema, sections, homes
}
