// Package policy answers two questions: which settings apply at an instant, and how many instances they ask for.
//
// The calendar. A [Policy] has periods. A period is written as five-field Unix cron, but it is a range of time, not a moment: it contains
// every local minute that the cron line names. [Compile] turns policies into a [Schedule]. [Schedule.At] returns the settings of the last
// policy with a period that contains the instant. [Schedule.NextChange] returns the next instant at which another policy becomes active. A
// period is compared with the local minute in the policy's own time zone. A minute that a clock change skips never occurs, and one that it
// repeats occurs twice.
//
// The sizing. [Size] is the complete computation for scaling up. It takes settings, limits, demand and allowance, and returns a [Decision]
// with every number it used.
//
// The package is pure: time is an argument, and it has no shared state and starts nothing. Only Compile reads something from outside, the
// time zone database: the system's, or else the built-in one.
package policy
