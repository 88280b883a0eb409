// Package pains has a script for each of the worst problems of fleet managers. Each script shows that the problem cannot happen, or that it
// is noticed and stopped, and that an explanation says in words what happened. A script drives the production core against a scripted
// cloud. It reads the same explain.History that `taskscaler explain` reads from a journal.
package pains
