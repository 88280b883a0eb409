package model

import (
	_ "embed"
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

//go:embed presets.toml
var presetsText []byte

// presets are the built-in layers by name.
func presets() map[string]map[string]any {
	var all map[string]map[string]any
	if err := toml.Unmarshal(presetsText, &all); err != nil {
		panic("model: presets.toml: " + err.Error()) // the file is embedded, and a test reads it
	}
	return all
}

// presetNames are the valid values of the key preset, sorted.
func presetNames() []string { return slices.Sorted(maps.Keys(presets())) }
