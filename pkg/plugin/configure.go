package plugin

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/internal/nearest"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Configure unmarshals config, the plugin_config as JSON, into impl, a pointer to a struct with json tags. An empty config and null change
// nothing. Unknown keys at any depth are an error of KindConfig that names each of them, with the nearest known key. A value of the wrong
// type is an error of KindConfig too. A plugin process calls Configure before Init. A program that runs an InstanceGroup in its own process
// calls it itself. A group around another one, such as that of provider.Serial, has a method Unwrap() provider.InstanceGroup: then the other one is filled.
func Configure(impl any, config json.RawMessage) error {
	for {
		outer, ok := impl.(interface{ Unwrap() provider.InstanceGroup })
		if !ok {
			break
		}
		impl = outer.Unwrap()
	}
	if len(bytes.TrimSpace(config)) == 0 || bytes.Equal(bytes.TrimSpace(config), []byte("null")) {
		return nil
	}
	t := reflect.TypeOf(impl)
	if t == nil || t.Kind() != reflect.Pointer {
		return provider.Errorf(provider.KindConfig, "plugin_config needs a pointer to a struct, not a %T", impl)
	}
	var faults []string
	findUnknown(config, t, "", &faults)
	if len(faults) > 0 {
		return provider.Errorf(provider.KindConfig, "plugin_config: %s", strings.Join(faults, "; "))
	}
	if err := json.Unmarshal(config, impl); err != nil {
		return &provider.Error{Kind: provider.KindConfig, Err: describeJSON(err, culprit(config, t, ""))}
	}
	return nil
}

// describeJSON returns err in words for the author of the configuration. key is the value that could not be decoded, if it is known. It shows no value, because a value may be a secret.
func describeJSON(err error, key string) error {
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Type == reflect.TypeFor[provider.Duration]():
		return fmt.Errorf(`plugin_config: %s must be a duration such as "90s" or "10m", or a number of seconds below a million`, mistyped.Field)
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return fmt.Errorf("plugin_config: %s must be %s, not %s", mistyped.Field, typeName(mistyped.Type), jsonKind(mistyped.Value))
	case errors.As(err, &mistyped):
		return fmt.Errorf("plugin_config must be a table, not %s", jsonKind(mistyped.Value))
	case key != "": // the type's own decoder does not know the key
		return fmt.Errorf("plugin_config: %s: %w", key, err)
	}
	return fmt.Errorf("plugin_config: %w", err)
}

// culprit returns the path of the first value that its type cannot decode; empty if there is none.
func culprit(raw json.RawMessage, t reflect.Type, path string) string {
	for t.Kind() == reflect.Pointer && !decodesItself(t) {
		t = t.Elem()
	}
	if json.Unmarshal(raw, reflect.New(t).Interface()) == nil {
		return ""
	}
	if decodesItself(reflect.PointerTo(t)) {
		return path
	}
	known := map[string]reflect.Type{}
	if t.Kind() == reflect.Struct {
		known = jsonFields(t)
	}
	for _, key := range keysOf(raw) {
		field, ok := lookup(known, key.name)
		if t.Kind() == reflect.Map {
			field, ok = t.Elem(), true
		}
		if !ok {
			continue
		}
		if deeper := culprit(key.value, field, join(path, key.name)); deeper != "" {
			return deeper
		}
	}
	return path
}

// jsonKind returns the kind of a value in words. For a number that does not fit, encoding/json adds the literal.
func jsonKind(value string) string {
	kind, _, literal := strings.Cut(value, " ")
	switch {
	case literal:
		return "one that has a fraction or is too large"
	case kind == "array":
		return "a list"
	case kind == "object":
		return "a table"
	case kind == "bool":
		return "true or false"
	}
	return "a " + kind
}

func typeName(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a table"
	}
	return "a " + t.Kind().String()
}

// findUnknown compares raw with the type and records each key that the type does not know. It skips what does not parse and what has a
// json.Unmarshaler: the decoder handles them.
func findUnknown(raw json.RawMessage, t reflect.Type, path string, faults *[]string) {
	for t.Kind() == reflect.Pointer {
		if decodesItself(t) {
			return
		}
		t = t.Elem()
	}
	if decodesItself(reflect.PointerTo(t)) {
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		known := jsonFields(t)
		for _, key := range keysOf(raw) {
			if field, ok := lookup(known, key.name); ok {
				findUnknown(key.value, field, join(path, key.name), faults)
			} else {
				*faults = append(*faults, unknownKey(join(path, key.name), key.name, known))
			}
		}
	case reflect.Map:
		for _, key := range keysOf(raw) {
			findUnknown(key.value, t.Elem(), join(path, key.name), faults)
		}
	case reflect.Slice, reflect.Array:
		var elems []json.RawMessage
		if json.Unmarshal(raw, &elems) == nil {
			for i, e := range elems {
				findUnknown(e, t.Elem(), path+"["+strconv.Itoa(i)+"]", faults)
			}
		}
	}
}

func decodesItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Unmarshaler]())
}

type rawKey struct {
	name  string
	value json.RawMessage
}

// keysOf returns the keys of an object in alphabetical order, and nothing for any other value.
func keysOf(raw json.RawMessage) []rawKey {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	keys := make([]rawKey, 0, len(object))
	for name, value := range object {
		keys = append(keys, rawKey{name, value})
	}
	slices.SortFunc(keys, func(a, b rawKey) int { return strings.Compare(a.name, b.name) })
	return keys
}

// jsonFields returns the keys that encoding/json knows for a struct, with their types, those of embedded structs included.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-" || !f.IsExported():
			continue
		case f.Anonymous && name == "" && isStruct(f.Type):
			continue // VisibleFields lists its fields too
		case name == "":
			name = f.Name
		}
		fields[name] = f.Type
	}
	return fields
}

func isStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// lookup finds a key as encoding/json does: an exact match first, then one without regard to case.
func lookup(known map[string]reflect.Type, name string) (reflect.Type, bool) {
	if t, ok := known[name]; ok {
		return t, true
	}
	for k, t := range known {
		if strings.EqualFold(k, name) {
			return t, true
		}
	}
	return nil, false
}

func unknownKey(path, name string, known map[string]reflect.Type) string {
	if len(known) == 0 {
		return fmt.Sprintf("unknown key %q (this plugin has no keys)", path)
	}
	return fmt.Sprintf("unknown key %q (%s)", path, nearest.Remedy(name, slices.Sorted(maps.Keys(known)), "the plugin's documentation"))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
