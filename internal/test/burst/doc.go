// Package burst is a demonstration: a manager with a small fleet, and a burst of jobs through `taskscaler exec`. It shows how the fleet grows, where the jobs
// run, and how the fleet shrinks, in the end to nothing. The last line is computed from the records of the instances. Where the instances run is the caller's
// choice ([Cloud]).
package burst
