// Package conformance checks a live group of a provider against the contract of package provider. [Run] makes a few machines, makes every check on
// them in turn, and removes them: so a run is cheap enough for a real cloud. It needs no test framework; package providertest runs the same checks in go
// test, and `taskscaler plugin test` runs them on the binary of a plugin.
//
// A check that fails has findings: what was seen, and what to change. A check that cannot be made on this group is skipped, with the reason. One that
// could not be made because something else failed is not reached: a fault has as few findings as possible.
package conformance
