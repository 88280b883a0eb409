// Package cloudmodel is a model of a cloud: machines that take time to boot, or never do; creates that are refused, cut short or
// answered with an error although they worked; stock-outs, quotas, slow calls, lists that lag or break off, spot reclaims, prices.
//
// The model is pure. Time is an argument, the time elapsed since the model's start; it never goes back. The same configuration, seed
// and calls give the same answers. Every random number is a function of (seed, stream, counter): what happens to instance n
// depends on n alone, and what happens to the k-th create on k alone, so that two policies that are compared meet the same luck.
//
// A simulator takes differences from [Cloud.Advance] and sleeps until [Cloud.Next]; the fake provider plugin runs the same model on
// real time. A [Cloud] belongs to one goroutine.
package cloudmodel
