// Package policy answers two questions: which settings hold at an instant, and how many instances they ask for.
//
// The calendar. A [Policy] has periods, five-field Unix cron read as a mask in time: not "run then", but "is this local minute
// inside?". [Compile] turns policies into a [Schedule]; [Schedule.At] gives the settings of the last policy whose period matches, and
// [Schedule.NextChange] the next instant at which another policy takes over. A period is judged on the local minute of the instant, in
// the policy's own time zone: a minute that a clock change skips never comes, and one that it repeats comes twice.
//
// The sizing. [Size] is the whole arithmetic of scaling up: settings, limits, demand and allowance in, a [Decision] out that carries
// every number it used and can say them in a sentence.
//
// The package is pure: time is an argument and nothing is shared or started. Compile alone looks outside, for the time zone database
// (the system's, else the one built in).
package policy
