// Package config reads GitLab Runner's config.toml and what taskscaler adds to it.
//
// Only the keys that taskscaler uses are read: a few of the file's head, a few of each [[runners]] and everything under
// [runners.autoscaler]. In those an unknown key, a wrong type or an impossible value is a fault; the runner's other sections pass
// untouched. All faults of a file are reported at once, each with its line, its key and what to do. [Load] and [Parse] return a
// [File] with every default filled in and every path absolute: after that nothing looks at the environment again.
//
// [Keys] lists every key that is read; docs/configuration.md is generated from it, and a test holds both true.
package config

//go:generate go test -run ^TestReference$ -update .
