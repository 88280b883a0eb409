// Package model reads the file that describes a cloud to the simulation: how long machines take to boot, to be ready and to go, how often
// that fails, what they cost, when there are none to be had.
//
// A file is layered: a preset (a named starting point for a kind of machine), then the file's own keys, then, when a shape is asked for,
// that shape's preset and keys. What a later layer says counts; a distribution is replaced as a whole, other sections key by key.
// Everything that is left out is 0 s, without failure, without limit and for nothing.
//
// All faults of a file are reported at once, in the form of package config: file, line, key, remedy.
package model
