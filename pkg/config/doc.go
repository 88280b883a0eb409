// Package config reads GitLab Runner's config.toml, and the keys that taskscaler adds to it.
//
// It reads only the keys that taskscaler uses: some keys of the head of the file, some keys of each [[runners]], and everything under
// [runners.autoscaler]. An unknown key, a wrong type or an impossible value among them is a fault. All other sections belong to GitLab
// Runner and are not read. All faults of a file are reported at once; each names its line and key and says what to do. [Load] and
// [Parse] return a [File] with every default filled in and every path absolute, so that nothing reads the environment later.
//
// [Keys] lists every key that is read. The tables of docs/configuration.md are generated from it, and a test compares them.
package config

//go:generate go test -run ^TestReference$ -update .
