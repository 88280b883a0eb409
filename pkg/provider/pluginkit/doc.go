// Package pluginkit has what authors of plugins otherwise write again and again: names and labels, connect info, states, faults of a configuration, parallel
// calls with partial results, pages, and a slog.Logger. Each function stands for itself; a plugin takes what it needs.
//
// The package brings no dependency that package provider does not have. Keys for instances are in package plugin (NewKey, KeyFor), what is about HTTP in
// package httpkit, and the Duration for plugin_config in package provider.
package pluginkit
