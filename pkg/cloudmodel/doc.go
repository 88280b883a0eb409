// Package cloudmodel simulates a cloud. Instances take time to boot, or never do. Creates are refused, succeed only in part, or are
// answered with an error although they worked. There are stock-outs, quotas, slow calls, lists that lag or are incomplete, spot reclaims,
// and prices.
//
// The model is pure. Time is an argument: the time elapsed since the model's start, which never goes back. The same configuration, seed and
// calls give the same answers. Every random number is a function of (seed, stream, counter). What happens to instance n depends only on n,
// and what happens to the k-th create only on k, so two policies are compared under the same random events.
//
// A simulator takes events from [Cloud.Advance] and sleeps until [Cloud.Next]. The fake provider plugin runs the same model in real time. A
// [Cloud] is not safe for concurrent use.
package cloudmodel
