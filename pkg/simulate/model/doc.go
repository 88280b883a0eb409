// Package model reads the file that describes a cloud for the simulation: how long instances take to boot, to become ready and to be
// deleted, how often that fails, what they cost, and when the provider has none.
//
// A file has layers: first a preset (a named starting point for a kind of machine), then the file's own keys, then the preset and the keys
// of a shape, if one is chosen. A later layer overrides an earlier one. A distribution is replaced as a whole, other sections key by key.
// The defaults are 0 s, no failures, no limits and no cost.
//
// All faults of a file are reported at once, in the form of package config: file, line, key, what to do.
package model
