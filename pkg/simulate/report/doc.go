// Package report writes what a simulation found: as text for a terminal, as JSON (a versioned contract with a JSON Schema), as CSV, and as
// one HTML file that needs no network.
//
// A [Report] is one run, a [Comparison] several runs against the first, a [Pareto] the trade between cost and waiting. Every form shows
// the same figures under the same names, which [Figures] lists; without [Timing] the bytes are a function of the result.
//
// The charts of the HTML form are drawn by uPlot (MIT), which is embedded: see assets/uplot.
package report
