// Package compat proves that today's code understands what an earlier release left on disk.
//
// testdata holds the state file and the journal of a manager built at commit 3b3f9ec. It ran for two and a half minutes and met creates
// that failed, boots that hung, an instance that was killed, reloads, and a kill of the manager under running jobs. Beside them are the
// answers of that same commit: every stored record, every replayed round, and what its `explain` and `replay` said.
//
// The tests compare facts: numbers, ids, keys, causes, times, and their order. They do not compare sentences, because sentences may be
// reworded at any time. For this they drop the JSON fields that hold sentences (see prose), and accept new fields. From the text output
// they take only the times and the names of instances.
//
// No test here may be changed to follow the code. When one fails, an upgrade breaks what users have on disk: change the code.
// testdata/README.md says how the data was made.
package compat
