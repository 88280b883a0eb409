// Package plugincheck runs the checks of package conformance on a plugin's binary, and writes their report as text, JSON or JUnit.
package plugincheck
