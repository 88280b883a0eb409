// Package optimise compares policies on the same jobs with the same random numbers, and chooses one.
//
// [Compare] runs variants of a configuration on one workload and says how precise their differences are. [Recommend] searches for the
// cheapest policy that keeps the promises about waits (its SLOs). It starts from the base-stock formula of inventory theory, reduces many
// candidates by successive halving, and refines the best. Then it runs the choice on a part of the trace that the search has not used.
// [ParseAssertion] reads the promises; they can also be the gates of a pipeline.
//
// The result depends only on the arguments. The same seed gives the same answer for any number of workers.
package optimise
