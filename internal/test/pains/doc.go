// Package pains has a script for each thing that users of fleet managers suffer from most: it cannot happen, or it is noticed and stopped, and
// an explanation says in words what happened instead. Each drives the production core against a scripted cloud, and reads the same
// explain.History that `taskscaler explain` reads from a journal.
package pains
