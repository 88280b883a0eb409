// Package optimise compares policies on the same jobs and the same luck, and chooses one.
//
// [Compare] runs variants of a configuration on one workload and says how sure their differences are. [Recommend] searches for the
// cheapest policy that keeps the promises made about waits (its SLOs): it starts from the base-stock formula of inventory theory,
// narrows many candidates by successive halving, refines the best, and tells what the choice does on a part of the trace that the search
// never saw. [Backtest] repeats that over several splits of one trace, against a rival. [ParseAssertion] reads the promises, which serve as
// gates of a pipeline, too.
//
// Everything is a function of its arguments: the same seed gives the same answer, whatever the number of workers.
package optimise
