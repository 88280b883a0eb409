// Package brokengroup is a group in memory with one fault at a time, chosen by name, and the table of these faults. Each of them must be found by package
// conformance as exactly the checks that the table names, and the manager must stay right with it. cmd/fleeting-plugin-broken is the same as a plugin.
package brokengroup
